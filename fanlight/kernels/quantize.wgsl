fn source16(row: u32, k: u32) -> array<vec4<f32>, 4> {
    return array<vec4<f32>, 4>(source4(row, k), source4(row, k + 4u), source4(row, k + 8u), source4(row, k + 12u));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= K / 32u || id.y >= inputs[0]) { return; }
    put_int8(id.y, id.x, source16(id.y, id.x * 32u), source16(id.y, id.x * 32u + 16u));
}
