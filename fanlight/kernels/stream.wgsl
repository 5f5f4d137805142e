@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    var sum = vec4<u32>(0u);
    for (var i = id.x; i < VECTORS; i += WORKGROUP * GROUPS) { sum ^= x[i]; }
    y[id.x] = sum.x ^ sum.y ^ sum.z ^ sum.w;
}
