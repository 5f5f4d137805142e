// A lane's two rows are the gate and the up row of one element; y = silu(gate) * up.  https://arxiv.org/abs/2002.05202
const PAIRS = N / 2u;
fn row_of(pair: u32, which: u32) -> u32 { return min(pair, PAIRS - 1u) + which * PAIRS; }
fn finish(pair: u32, column: u32, value: vec2<f32>) {
    if (pair >= PAIRS) { return; }
    let gate = value.x + bias_of(pair);
    y[column * Y_STRIDE + pair] = gate / (1.0 + exp(-gate)) * (value.y + bias_of(pair + PAIRS));
}
