fn pairs(byte: u32) -> u32 { return (byte & 3u) | ((byte & 0xcu) << 6u) | ((byte & 0x30u) << 12u) | ((byte & 0xc0u) << 18u); }
fn pairs4(q: u32) -> vec4<u32> { return vec4<u32>(pairs(q), pairs(q >> 8u), pairs(q >> 16u), pairs(q >> 24u)); }

fn unpack(g: u32) -> Group {
    let at = PLANE_QS / 4u + g * 2u;
    let d = half_at(PLANE_D + g / 2u * 2u);
    return Group(pairs4(s[at]), pairs4(s[at + 1u]), vec2<f32>(d), vec2<f32>(-d));
}
