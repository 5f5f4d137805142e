struct Raw {
    q: vec4<u32>,
    d: u32,
}

fn raw(g: u32) -> Raw { return Raw(w[PLANE_QS / 16u + g], s[PLANE_D / 4u + g / 2u]); }

fn unpack_raw(r: Raw, g: u32) -> Group {
    return group_of(r.q, unpack2x16float(r.d)[g % 2u]);
}

fn unpack(g: u32) -> Group { return unpack_raw(raw(g), g); }
