// Sixteen neighbouring results, from `element` on.
fn give16(element: u32, half: u32, is_there: bool, v: array<vec4<f32>, 4>) {
    if (!is_there) { return; }
    for (var i = 0u; i < 4u; i++) { y[element / 4u + i] = v[i]; }
}
