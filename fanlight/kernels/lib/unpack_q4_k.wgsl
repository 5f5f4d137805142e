struct Raw {
    a: vec4<u32>,
    b: vec4<u32>,
    scales: vec3<u32>,
    d: u32,
    dmin: u32,
}

fn raw(g: u32) -> Raw {
    let block = g / 8u;
    let at = PLANE_QS / 16u + block * 8u + (g % 8u / 2u) * 2u;
    let sc = PLANE_SCALES / 4u + block * 3u;
    let d = s[PLANE_D / 4u + block / 2u];
    return Raw(w[at], w[at + 1u], vec3<u32>(s[sc], s[sc + 1u], s[sc + 2u]), d, s[PLANE_DMIN / 4u + block / 2u]);
}

fn unpack_raw(r: Raw, g: u32) -> Group {
    let block = g / 8u;
    let shift = vec4<u32>((g % 2u) * 4u);
    let mask = vec4<u32>(0x0f0f0f0fu);
    let sm = scale_min(r.scales, g % 8u);
    let d = unpack2x16float(r.d)[block % 2u];
    let dmin = unpack2x16float(r.dmin)[block % 2u];
    return Group((r.a >> shift) & mask, (r.b >> shift) & mask, vec2<f32>(d * sm.x), vec2<f32>(-dmin * sm.y));
}

fn unpack(g: u32) -> Group { return unpack_raw(raw(g), g); }
