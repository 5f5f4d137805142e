struct Raw {
    q: vec4<u32>,
    d: u32,
}

fn raw(g: u32) -> Raw { return Raw(w[PLANE_QS / 16u + g], s[PLANE_D / 4u + g / 2u]); }

fn unpack_raw(r: Raw, g: u32) -> Group {
    let d = bitcast<f32>(select(r.d << 16u, r.d & 0xffff0000u, g % 2u == 1u));
    let mask = vec4<u32>(0x0f0f0f0fu);
    return Group(r.q & mask, (r.q >> vec4<u32>(4u)) & mask, vec2<f32>(d), vec2<f32>(-8.0 * d));
}

fn unpack(g: u32) -> Group { return unpack_raw(raw(g), g); }
