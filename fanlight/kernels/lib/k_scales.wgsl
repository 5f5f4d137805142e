// Q4_K and Q5_K: eight 6-bit (scale, min) pairs in 12 bytes; returns pair i.
fn scale_min(block: u32, i: u32) -> vec2<f32> {
    let at = PLANE_SCALES / 4u + block * 3u;
    let shift = (i % 4u) * 8u;
    let x = s[at] >> shift;
    let y = s[at + 1u] >> shift;
    let z = s[at + 2u] >> shift;
    let early = vec2<u32>(x & 63u, y & 63u);
    let late = vec2<u32>((z & 0xfu) | ((x >> 2u) & 0x30u), ((z >> 4u) & 0xfu) | ((y >> 2u) & 0x30u));
    return vec2<f32>(select(late, early, i < 4u));
}
