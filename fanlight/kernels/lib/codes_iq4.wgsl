// Eight codes to i8: those in the lower nibbles, and those in the upper ones. `grid` has what a byte stands for, in its bytes 0 and 2.
fn values8(q: u32) -> vec2<u32> {
    let x = grid[q & 0xffu] | (grid[(q >> 8u) & 0xffu] << 8u);
    let y = grid[(q >> 16u) & 0xffu] | (grid[q >> 24u] << 8u);
    return vec2<u32>((x & 0xffffu) | (y << 16u), (x >> 16u) | (y & 0xffff0000u));
}
fn group_of(q: vec4<u32>, d: f32) -> Group {
    let a = values8(q.x);
    let b = values8(q.y);
    let c = values8(q.z);
    let e = values8(q.w);
    return Group(vec4<u32>(a.x, b.x, c.x, e.x), vec4<u32>(a.y, b.y, c.y, e.y), vec2<f32>(d), vec2<f32>(0.0));
}
