// 32 neighbouring values of a weight's row: value = scale * q + offset, per half of 16; q are i8, four in a u32, in order.
struct Group {
    a: vec4<u32>,
    b: vec4<u32>,
    scale: vec2<f32>,
    offset: vec2<f32>,
}

fn half_at(byte: u32) -> f32 { return unpack2x16float(s[byte / 4u])[(byte / 2u) % 2u]; }
fn byte_at(byte: u32) -> u32 { return (s[byte / 4u] >> ((byte % 4u) * 8u)) & 0xffu; }
// Bits 0..3 of x to bit 0 of the four bytes.
fn spread(x: u32) -> u32 { return ((x & 0xfu) * 0x00204081u) & 0x01010101u; }
fn spread4(x: u32) -> vec4<u32> { return vec4<u32>(spread(x), spread(x >> 4u), spread(x >> 8u), spread(x >> 12u)); }

fn q4(q: u32) -> vec4<f32> { return vec4<f32>(unpack4xI8(q)); }

// The four values 4j..4j+3.
fn value4(g: Group, j: u32) -> vec4<f32> {
    let half = j / 4u;
    let q = select(g.a, g.b, half == 1u)[j % 4u];
    return g.scale[half] * q4(q) + g.offset[half];
}
