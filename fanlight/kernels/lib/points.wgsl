// Lattices: points lie in `grid`, their weights as i8.
fn parity(seven: u32) -> u32 { return seven | ((countOneBits(seven) & 1u) << 7u); }
// Four positive i8; those whose bit of `signs` is set become negative.
fn signed4(v: u32, signs: u32) -> u32 {
    let minus = spread(signs);
    return (v ^ (minus * 0xffu)) + minus;
}
