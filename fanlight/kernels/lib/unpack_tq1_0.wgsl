// A digit in base three of each byte, whose fraction in 256ths was multiplied to bring it to the front.
fn trits(bytes: vec4<u32>, power: u32) -> vec4<u32> {
    let mask = vec4<u32>(0x00ff00ffu);
    let even = (((((bytes & mask) * power) & mask) * 3u) >> vec4<u32>(8u)) & mask;
    let odd = ((((((bytes >> vec4<u32>(8u)) & mask) * power) & mask) * 3u) >> vec4<u32>(8u)) & mask;
    return even | (odd << vec4<u32>(8u));
}
fn power(k: u32) -> u32 { return select(select(select(select(81u, 27u, k == 3u), 9u, k == 2u), 3u, k == 1u), 1u, k == 0u); }

// 48 bytes: five trits of the first 32, then of the last 16; then four trits of four bytes.
fn unpack(g: u32) -> Group {
    let block = g / 8u;
    let i = g % 8u;
    let at = PLANE_QS / 16u + block * 3u;
    let d = half_at(PLANE_D + block * 2u);
    let first = select(at, at + 2u, i >= 5u);
    let k = select(i, 2u * (i - 5u), i >= 5u);
    let a = trits(w[first], power(k));
    let b = trits(w[select(at + 1u, first, i >= 5u)], power(select(k, k + 1u, i >= 5u)));
    let high = s[PLANE_QH / 4u + block];
    let last = vec4<u32>(trits(vec4<u32>(high), 1u).x, trits(vec4<u32>(high), 3u).x, trits(vec4<u32>(high), 9u).x, trits(vec4<u32>(high), 27u).x);
    return Group(a, select(b, last, i == 7u), vec2<f32>(d), vec2<f32>(-d));
}
