// A pair's rows are neighbours.
const PAIRS = (N + 1u) / 2u;
struct Early {
    first: Extras,
    second: Extras,
}
fn row_of(pair: u32, which: u32) -> u32 { return min(pair * 2u + which, N - 1u); }
fn prepare(pair: u32, column: u32) -> Early {
    let first = extras_column(ROW_OFFSET + row_of(pair, 0u));
    let second = extras_column(ROW_OFFSET + row_of(pair, 1u));
    return Early(extras_of(y_row(column), first), extras_of(y_row(column), second));
}
fn finish(pair: u32, column: u32, value: vec2<f32>, early: Early, is_last: bool, thread: u32) {
    if (!is_last) { return; }
    let at = y_row(column) * Y_STRIDE + ROW_OFFSET + pair * 2u;
    if (pair * 2u < N) { y[at] = epilogue(value.x, early.first); }
    if (pair * 2u + 1u < N) { y[at + 1u] = epilogue(value.y, early.second); }
}
