fn unpack(g: u32) -> Group {
    let block = g / 8u;
    let i = g % 8u;
    let n = i / 4u;
    let j = i % 4u;
    let low = PLANE_QL / 16u + block * 8u + n * 4u + (j % 2u) * 2u;
    let high = PLANE_QH / 16u + block * 4u + n * 2u;
    let shift = vec4<u32>((j / 2u) * 4u);
    let shift2 = vec4<u32>(j * 2u);
    let mask = vec4<u32>(0x0f0f0f0fu);
    let two = vec4<u32>(0x03030303u);
    let a = ((w[low] >> shift) & mask) | (((w[high] >> shift2) & two) << vec4<u32>(4u));
    let b = ((w[low + 1u] >> shift) & mask) | (((w[high + 1u] >> shift2) & two) << vec4<u32>(4u));
    let sc = s[(PLANE_SCALES + block * 16u + (i / 2u) * 4u) / 4u];
    let scales = vec4<f32>(unpack4xI8(sc));
    let scale = half_at(PLANE_D + block * 2u) * select(scales.xy, scales.zw, i % 2u == 1u);
    return Group(a, b, scale, -32.0 * scale);
}
