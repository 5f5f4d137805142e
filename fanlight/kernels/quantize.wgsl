fn four(row: u32, k: u32) -> vec4<f32> { return epilogue(extras_of(row, k)); }

fn sixteen(row: u32, k: u32) -> array<vec4<f32>, 4> {
    return array<vec4<f32>, 4>(four(row, k), four(row, k + 4u), four(row, k + 8u), four(row, k + 12u));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= K / 32u || id.y >= inputs[0]) { return; }
    put_int8(id.y, id.x, sixteen(id.y, id.x * 32u), sixteen(id.y, id.x * 32u + 16u));
}
