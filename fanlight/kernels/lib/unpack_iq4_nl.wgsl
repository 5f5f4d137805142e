struct Raw {
    q: vec4<u32>,
    d: u32,
}

fn raw(g: u32) -> Raw { return Raw(w[PLANE_QS / 16u + g], s[PLANE_D / 4u + g / 2u]); }

fn unpack_raw(r: Raw, g: u32) -> Group {
    let mask = vec4<u32>(0x0f0f0f0fu);
    return Group(values4(r.q & mask), values4((r.q >> vec4<u32>(4u)) & mask), vec2<f32>(unpack2x16float(r.d)[g % 2u]), vec2<f32>(0.0));
}

fn unpack(g: u32) -> Group { return unpack_raw(raw(g), g); }
