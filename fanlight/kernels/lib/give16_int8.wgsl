// Sixteen neighbouring results, from `element` on, quantised: two neighbouring threads share a scale.
fn give16(element: u32, half: u32, is_there: bool, v: array<vec4<f32>, 4>) {
    let mine = largest16(v);
    let top = max(mine, subgroupShuffleXor(mine, 1u));
    if (!is_there) { return; }
    xq[element / 16u] = int8_of16(v, select(0.0, 127.0 / top, top > 0.0));
    if (half == 0u) { xd[element / 32u] = top / 127.0; }
}
