fn value_of(code: u32) -> f32 { return bitcast<f32>(grid[code]); }
// Two bytes from bit `at` on, each two values, the upper nibble first.
fn four(q: u32, at: u32, d: f32) -> vec4<f32> {
    let x = q >> at;
    return d * vec4<f32>(value_of((x >> 4u) & 0xfu), value_of(x & 0xfu), value_of((x >> 12u) & 0xfu), value_of((x >> 8u) & 0xfu));
}

fn unpack(g: u32) -> Group {
    let q = w[PLANE_QS / 16u + g];
    let block = g / 2u;
    let d = bitcast<f32>(w[PLANE_D / 16u + block / 4u][block % 4u]);
    return Group(array<vec4<f32>, 8>(four(q.x, 0u, d), four(q.x, 16u, d), four(q.y, 0u, d), four(q.y, 16u, d),
        four(q.z, 0u, d), four(q.z, 16u, d), four(q.w, 0u, d), four(q.w, 16u, d)));
}
