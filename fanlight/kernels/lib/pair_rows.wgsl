// A lane's two rows are neighbours.
const PAIRS = (N + 1u) / 2u;
fn row_of(pair: u32, which: u32) -> u32 { return min(pair * 2u + which, N - 1u); }
fn put(row: u32, column: u32, value: f32) {
    if (row >= N) { return; }
    let out = ROW_OFFSET + row;
    y[y_row(column) * Y_STRIDE + out] = epilogue(value, extras_of(y_row(column), extras_column(out)));
}
fn finish(pair: u32, column: u32, value: vec2<f32>) {
    put(pair * 2u, column, value.x);
    put(pair * 2u + 1u, column, value.y);
}
