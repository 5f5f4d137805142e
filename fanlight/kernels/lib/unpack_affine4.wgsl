struct Raw {
    q: vec4<u32>,
    d: f32,
    m: f32,
}

fn raw(g: u32) -> Raw {
    let block = g / PER_BLOCK;
    return Raw(w[PLANE_QS / 16u + g], bitcast<f32>(s[PLANE_D / 4u + block]), bitcast<f32>(s[PLANE_M / 4u + block]));
}

fn unpack_raw(r: Raw, g: u32) -> Group {
    let mask = vec4<u32>(0x0f0f0f0fu);
    return Group(r.q & mask, (r.q >> vec4<u32>(4u)) & mask, vec2<f32>(r.d), vec2<f32>(r.m));
}

fn unpack(g: u32) -> Group { return unpack_raw(raw(g), g); }
