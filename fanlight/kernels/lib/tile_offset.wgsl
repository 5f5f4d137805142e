// Formats with offsets of their own: sum over k of offset * x = offset * scale of x * sum of x's integers.
var<workgroup> w_offset: array<f32, KG * TILE_N * SCALES>;
var<workgroup> x_sum: array<f32, KG * 2u * TILE_M>;
fn centered(q: vec4<u32>) -> vec4<u32> { return q; }
fn put_offsets(w: Group, at: u32) {
    w_offset[at] = w.offset.x;
    if (SCALES == 2u) { w_offset[(SCALES - 1u) * KG * TILE_N + at] = w.offset.y; }
}
fn put_sum(q: vec4<u32>, at: u32) { x_sum[at] = f32(dot_half(q, vec4<u32>(0x01010101u))); }
fn sums_of(at: u32) -> vec4<f32> { return vec4<f32>(x_sum[at], x_sum[at + 1u], x_sum[at + 2u], x_sum[at + 3u]); }
fn offsets_product(x: Rows, at: u32) -> vec4<f32> {
    if (SCALES == 1u) { return (x.sum_a + x.sum_b) * w_offset[at]; }
    return x.sum_a * w_offset[at] + x.sum_b * w_offset[(SCALES - 1u) * KG * TILE_N + at];
}
