// Scale k of 16 has its low four bits in nibble k and its high two in bytes 8..11.
fn sub_scale(block: u32, k: u32) -> f32 {
    let at = PLANE_SCALES + block * 12u;
    let low = (byte_at(at + k % 8u) >> ((k / 8u) * 4u)) & 0xfu;
    let high = (byte_at(at + 8u + k % 4u) >> ((k / 4u) * 2u)) & 3u;
    return f32(i32(low | (high << 4u)) - 32);
}

fn unpack(g: u32) -> Group {
    let block = g / 8u;
    let i = g % 8u;
    let at = PLANE_QS / 16u + block * 4u + (i / 4u) * 2u;
    let high = PLANE_HMASK / 16u + block * 2u;
    let shift = vec4<u32>((i % 4u) * 2u);
    let two = vec4<u32>(0x03030303u);
    let one = vec4<u32>(0x01010101u);
    let a = ((w[at] >> shift) & two) | (((w[high] >> vec4<u32>(i)) & one) << vec4<u32>(2u));
    let b = ((w[at + 1u] >> shift) & two) | (((w[high + 1u] >> vec4<u32>(i)) & one) << vec4<u32>(2u));
    let scale = half_at(PLANE_D + block * 2u) * vec2<f32>(sub_scale(block, 2u * i), sub_scale(block, 2u * i + 1u));
    return Group(a, b, scale, -4.0 * scale);
}
