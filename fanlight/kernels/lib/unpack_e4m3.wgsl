// Four bytes of sign, four bits of exponent and three of mantissa. All exponents but 0 are an f32's, 120 less; 15 with all bits of the
// mantissa is no number.
fn e4m3(byte: u32) -> f32 {
    let size = byte & 0x7fu;
    let normal = bitcast<f32>((size << 20u) + 0x3c000000u);
    let value = select(normal, f32(size) / 512.0, size < 8u);
    let number = select(value, bitcast<f32>(0x7fc00000u | size), size == 0x7fu);
    return select(number, -number, byte > 0x7fu);
}
fn four(q: u32, d: f32) -> vec4<f32> {
    return d * vec4<f32>(e4m3(q & 0xffu), e4m3((q >> 8u) & 0xffu), e4m3((q >> 16u) & 0xffu), e4m3(q >> 24u));
}

fn unpack(g: u32) -> Group {
    let at = PLANE_QS / 16u + g * 2u;
    let a = w[at];
    let b = w[at + 1u];
    let block = g / PER_BLOCK;
    let d = bitcast<f32>(w[PLANE_D / 16u + block / 4u][block % 4u]);
    return Group(array<vec4<f32>, 8>(
        four(a.x, d), four(a.y, d), four(a.z, d), four(a.w, d), four(b.x, d), four(b.y, d), four(b.z, d), four(b.w, d)));
}
