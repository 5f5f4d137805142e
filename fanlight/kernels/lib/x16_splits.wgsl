// x is attention's, in SPLITS parts per head of D that are not yet divided: joined by their (maximum, sum of weights).
fn x16(row: u32, k: u32) -> array<vec4<f32>, 4> {
    let head = row * (K / D) + k / D;
    var top = -1e30;
    for (var i = 0u; i < SPLITS; i++) { top = max(top, x_state[head * SPLITS + i].x); }
    var total = 0.0;
    var v: array<vec4<f32>, 4>;
    for (var i = 0u; i < SPLITS; i++) {
        let state = x_state[head * SPLITS + i];
        let scale = exp(state.x - top);
        let at = ((head * SPLITS + i) * D + k % D) / 4u;
        total += scale * state.y;
        for (var j = 0u; j < 4u; j++) { v[j] += scale * x[at + j]; }
    }
    return array<vec4<f32>, 4>(v[0] / total, v[1] / total, v[2] / total, v[3] / total);
}
