struct Raw {
    a: vec4<u32>,
    b: vec4<u32>,
    d: f32,
    m: f32,
}

fn raw(g: u32) -> Raw {
    let block = g / PER_BLOCK;
    let at = PLANE_QS / 16u + g * 2u;
    return Raw(w[at], w[at + 1u], bitcast<f32>(s[PLANE_D / 4u + block]), bitcast<f32>(s[PLANE_M / 4u + block]));
}

fn unpack_raw(r: Raw, g: u32) -> Group {
    return Group(r.a, r.b, vec2<f32>(r.d), vec2<f32>(fma(r.d, 128.0, r.m)));
}

fn unpack(g: u32) -> Group { return unpack_raw(raw(g), g); }
