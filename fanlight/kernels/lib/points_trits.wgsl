// IQ1_S and IQ1_M: a point is eight digits of two bits in `grid`, less one; an eighth is added or taken away. In eighths that is
// 8 digit - 9, or - 7.
fn eighths(digits: u32, more: u32) -> u32 {
    let bytes = (digits & 3u) | ((digits & 0xcu) << 6u) | ((digits & 0x30u) << 12u) | ((digits & 0xc0u) << 18u);
    return (bytes << 3u) + more * 0x02020202u;
}
fn point(index: u32, is_less: u32) -> vec2<u32> {
    let digits = grid[index / 2u] >> ((index % 2u) * 16u);
    return vec2<u32>(eighths(digits & 0xffu, 1u - is_less), eighths((digits >> 8u) & 0xffu, 1u - is_less));
}
