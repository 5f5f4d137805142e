// Codes of E2M1 in bytes to i8 of twice what they stand for: 0 1 2 3 4 6 8 12, and bit 3 is the sign. All bytes at once.
fn values4(q: vec4<u32>) -> vec4<u32> {
    let one = vec4<u32>(0x01010101u);
    let top = (q >> vec4<u32>(2u)) & one;
    let five = top & q;
    let six = top & (q >> vec4<u32>(1u));
    let size = (q & vec4<u32>(0x07070707u)) + five + (six << vec4<u32>(1u)) + ((five & six) << vec4<u32>(1u));
    let minus = (vec4<u32>(0x80808080u) - size) ^ vec4<u32>(0x80808080u);
    let is_minus = ((q >> vec4<u32>(3u)) & one) * vec4<u32>(0xffu);
    return (size & ~is_minus) | (minus & is_minus);
}
