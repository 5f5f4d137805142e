// A pair's rows are neighbours; y = value + bias + residual.
const PAIRS = (N + 1u) / 2u;
alias Early = vec2<f32>;
fn row_of(pair: u32, which: u32) -> u32 { return min(pair * 2u + which, N - 1u); }
fn added(row: u32, column: u32) -> f32 {
    let out = ROW_OFFSET + min(row, N - 1u);
    return bias_of(out) + residual_of(column * Y_STRIDE + out);
}
fn prepare(pair: u32, column: u32) -> Early { return vec2<f32>(added(pair * 2u, column), added(pair * 2u + 1u, column)); }
fn finish(pair: u32, column: u32, value: vec2<f32>, early: Early, is_last: bool, thread: u32) {
    if (!is_last) { return; }
    let at = column * Y_STRIDE + ROW_OFFSET + pair * 2u;
    if (pair * 2u < N) { y[at] = value.x + early.x; }
    if (pair * 2u + 1u < N) { y[at + 1u] = value.y + early.y; }
}
