struct Raw {
    a: vec4<u32>,
    b: vec4<u32>,
    d: u32,
}

fn raw(g: u32) -> Raw {
    let at = PLANE_QS / 16u + g * 2u;
    return Raw(w[at], w[at + 1u], s[PLANE_D / 4u + g / 2u]);
}

fn unpack_raw(r: Raw, g: u32) -> Group {
    return Group(r.a, r.b, vec2<f32>(unpack2x16float(r.d)[g % 2u]), vec2<f32>(0.0));
}

fn unpack(g: u32) -> Group { return unpack_raw(raw(g), g); }
