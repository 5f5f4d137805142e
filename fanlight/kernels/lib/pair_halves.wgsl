// A lane's two rows are one of W's upper half and one of its lower half, which make one element of y.
const PAIRS = N / 2u;
fn row_of(pair: u32, which: u32) -> u32 { return min(pair, PAIRS - 1u) + which * PAIRS; }
fn finish(pair: u32, column: u32, value: vec2<f32>) {
    if (pair >= PAIRS) { return; }
    let out = ROW_OFFSET + pair;
    y[y_row(column) * Y_STRIDE + out] = epilogue(value.x, value.y, extras_of(y_row(column), extras_column(out)));
}
