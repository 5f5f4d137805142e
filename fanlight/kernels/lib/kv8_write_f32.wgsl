// What the cache makes of four elements, and eight of them to it.
fn kept(v: vec4<f32>) -> vec4<f32> { return v; }
fn kv8_write(element: u32, a: vec4<f32>, b: vec4<f32>) {
    kv[element / 4u] = a;
    kv[element / 4u + 1u] = b;
}
