fn four(x: u32, y: u32) -> vec4<f32> { return bitcast<vec4<f32>>(vec4<u32>(x << 16u, x & 0xffff0000u, y << 16u, y & 0xffff0000u)); }

fn unpack(g: u32) -> Group {
    let at = PLANE_X / 16u + g * 4u;
    let a = w[at];
    let b = w[at + 1u];
    let c = w[at + 2u];
    let d = w[at + 3u];
    return Group(array<vec4<f32>, 8>(
        four(a.x, a.y), four(a.z, a.w), four(b.x, b.y), four(b.z, b.w), four(c.x, c.y), four(c.z, c.w), four(d.x, d.y), four(d.z, d.w)));
}
