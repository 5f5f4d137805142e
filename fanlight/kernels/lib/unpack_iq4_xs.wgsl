struct Raw {
    q: vec4<u32>,
    d: u32,
    high: u32,
    low: u32,
}

fn raw(g: u32) -> Raw {
    let block = g / 8u;
    return Raw(w[PLANE_QS / 16u + g], s[PLANE_D / 4u + block / 2u], s[PLANE_SCALES_H / 4u + block / 2u], s[PLANE_SCALES_L / 4u + block]);
}

fn unpack_raw(r: Raw, g: u32) -> Group {
    let block = g / 8u;
    let i = g % 8u;
    let high = (r.high >> ((block % 2u) * 16u + i * 2u)) & 3u;
    let scale = f32(i32(((r.low >> (i * 4u)) & 0xfu) | (high << 4u)) - 32);
    return group_of(r.q, unpack2x16float(r.d)[block % 2u] * scale);
}

fn unpack(g: u32) -> Group { return unpack_raw(raw(g), g); }
