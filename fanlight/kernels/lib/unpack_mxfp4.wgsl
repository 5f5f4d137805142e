struct Raw {
    q: vec4<u32>,
    e: u32,
}

fn raw(g: u32) -> Raw { return Raw(w[PLANE_QS / 16u + g], s[PLANE_E / 4u + g / 4u]); }

fn unpack_raw(r: Raw, g: u32) -> Group {
    let e = (r.e >> ((g % 4u) * 8u)) & 0xffu;
    let d = bitcast<f32>(select((e - 1u) << 23u, 0x00200000u << e, e < 2u)); // 2^(e - 128)
    let mask = vec4<u32>(0x0f0f0f0fu);
    return Group(values4(r.q & mask), values4((r.q >> vec4<u32>(4u)) & mask), vec2<f32>(d), vec2<f32>(0.0));
}

fn unpack(g: u32) -> Group { return unpack_raw(raw(g), g); }
