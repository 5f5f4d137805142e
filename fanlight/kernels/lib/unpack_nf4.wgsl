fn value_of(code: u32) -> f32 {
    let low = select(vec4<f32>(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453),
        vec4<f32>(-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0), (code & 4u) != 0u);
    let high = select(vec4<f32>(0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224),
        vec4<f32>(0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0), (code & 4u) != 0u);
    return select(low, high, (code & 8u) != 0u)[code & 3u];
}
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
