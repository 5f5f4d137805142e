const HEAD_NORM = true;
fn head_weight(head: u32, i: u32) -> vec2<f32> {
    if (head < HEADS) { return vec2<f32>(q_norm[i], q_norm[i + 1u]); }
    return vec2<f32>(k_norm[i], k_norm[i + 1u]);
}
