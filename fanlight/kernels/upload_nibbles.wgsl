// params: as in lib/fetch.wgsl, of one plane with 4 HALF bytes to a block; before the plane, what is added to each code. The file's bytes
// hold neighbouring codes of 4 bits; the plane's hold that of a column and, above it, of the one 4 HALF further on.

fn apart(x: u32) -> u32 { return (x & 0xfu) | ((x & 0xf0u) << 4u) | ((x & 0xf00u) << 8u) | ((x & 0xf000u) << 12u); }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * WORKGROUP;
    if (i >= params[0] * params[2] * HALF) { return; }
    let u = (i / HALF) * HALF * 2u + i % HALF;
    let first = params[8] / 4u + params[1] * params[2] * HALF;
    packed[first + i] = (apart(fetch(8u, u)) | (apart(fetch(8u, u + HALF)) << 4u)) + params[7] * 0x11111111u;
}
