// Weights with one scale to a group. `at`: the group's place in the tile.
const SCALES = 1u;
fn put_scales(w: Group, at: u32) { w_scale[at] = w.scale.x; }
fn product(x: Rows, a: vec4<u32>, b: vec4<u32>, at: u32) -> vec4<f32> {
    return vec4<f32>(dots_a(x, a) + dots_b(x, b)) * w_scale[at] * x.scale + offsets_product(x, at);
}
