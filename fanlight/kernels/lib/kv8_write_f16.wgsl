// What the cache makes of four elements, and eight of them to it.
fn cut(v: vec2<f32>) -> u32 { return pack2x16float(clamp(v, vec2<f32>(-65504.0), vec2<f32>(65504.0))); }
fn kept(v: vec4<f32>) -> vec4<f32> { return vec4<f32>(unpack2x16float(cut(v.xy)), unpack2x16float(cut(v.zw))); }
fn kv8_write(element: u32, a: vec4<f32>, b: vec4<f32>) {
    kv[element / 8u] = vec4<u32>(cut(a.xy), cut(a.zw), cut(b.xy), cut(b.zw));
}
