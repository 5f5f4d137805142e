struct Raw {
    low_a: vec4<u32>,
    low_b: vec4<u32>,
    high_a: vec4<u32>,
    high_b: vec4<u32>,
    scales: u32,
    d: u32,
}

fn raw(g: u32) -> Raw {
    let block = g / 8u;
    let i = g % 8u;
    let low = PLANE_QL / 16u + block * 8u + (i / 4u) * 4u + (i % 2u) * 2u;
    let high = PLANE_QH / 16u + block * 4u + (i / 4u) * 2u;
    let scales = s[PLANE_SCALES / 4u + block * 4u + i / 2u];
    return Raw(w[low], w[low + 1u], w[high], w[high + 1u], scales, s[PLANE_D / 4u + block / 2u]);
}

fn unpack_raw(r: Raw, g: u32) -> Group {
    let block = g / 8u;
    let i = g % 8u;
    let shift = vec4<u32>((i % 4u) / 2u * 4u);
    let shift2 = vec4<u32>((i % 4u) * 2u);
    let mask = vec4<u32>(0x0f0f0f0fu);
    let two = vec4<u32>(0x03030303u);
    let a = ((r.low_a >> shift) & mask) | (((r.high_a >> shift2) & two) << vec4<u32>(4u));
    let b = ((r.low_b >> shift) & mask) | (((r.high_b >> shift2) & two) << vec4<u32>(4u));
    let scales = vec4<f32>(unpack4xI8(r.scales));
    let scale = unpack2x16float(r.d)[block % 2u] * select(scales.xy, scales.zw, i % 2u == 1u);
    return Group(a, b, scale, -32.0 * scale);
}

fn unpack(g: u32) -> Group { return unpack_raw(raw(g), g); }
