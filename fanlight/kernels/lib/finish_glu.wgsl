// A pair's rows are the gate and the up row of one element; y = silu(gate) * up.  https://arxiv.org/abs/2002.05202
const PAIRS = N / 2u;
alias Early = vec2<f32>;
fn row_of(pair: u32, which: u32) -> u32 { return min(pair, PAIRS - 1u) + which * PAIRS; }
fn prepare(pair: u32, column: u32) -> Early { return vec2<f32>(bias_of(row_of(pair, 0u)), bias_of(row_of(pair, 1u))); }
fn gated(value: vec2<f32>, early: Early) -> f32 {
    let gate = value.x + early.x;
    return gate / (1.0 + exp(-gate)) * (value.y + early.y);
}
