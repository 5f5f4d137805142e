// Weights whose halves of a group have a scale each. `at`: the group's place in the tile.
const SCALES = 2u;
fn put_scales(w: Group, at: u32) {
    w_scale[at] = w.scale.x;
    w_scale[KG * TILE_N + at] = w.scale.y;
}
fn product(x: Rows, a: vec4<u32>, b: vec4<u32>, at: u32) -> vec4<f32> {
    let halves = vec4<f32>(dots_a(x, a)) * w_scale[at] + vec4<f32>(dots_b(x, b)) * w_scale[KG * TILE_N + at];
    return halves * x.scale + offsets_product(x, at);
}
