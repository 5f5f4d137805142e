// params: as in lib/fetch.wgsl.
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    var i = id.x + id.y * groups.x * WORKGROUP;
    for (var plane = 0u; plane < params[4]; plane++) {
        let p = 8u + 4u * plane;
        let unit = params[p + 1u];
        let words = (params[0] * params[2] * unit + 3u) / 4u;
        if (i < words) {
            let first = (params[p] + params[1] * params[2] * unit) / 4u;
            packed[first + i] = (fetch(p, 2u * i) | (fetch(p, 2u * i + 1u) << 16u)) ^ (params[7] * 0x01010101u);
            return;
        }
        i -= words;
    }
}
