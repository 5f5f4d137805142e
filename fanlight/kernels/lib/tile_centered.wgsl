// Formats whose offset is -ZERO times the scale: integers are staged as q - ZERO, byte by byte (bit 7 keeps borrows apart).
const TOP_BITS = vec4<u32>(0x80808080u);
fn centered(q: vec4<u32>) -> vec4<u32> {
    if (ZERO == 0u) { return q; }
    return ((q | TOP_BITS) - vec4<u32>(ZERO * 0x01010101u)) ^ TOP_BITS;
}
fn put_offsets(w: Group, at: u32) {}
fn put_sum(q: vec4<u32>, at: u32) {}
fn sums_of(at: u32) -> vec4<f32> { return vec4<f32>(0.0); }
fn offsets_product(x: Rows, at: u32) -> vec4<f32> { return vec4<f32>(0.0); }
