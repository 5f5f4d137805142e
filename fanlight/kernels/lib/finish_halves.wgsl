// A pair's rows are one of W's upper half and one of its lower half, which make one element of y.
const PAIRS = N / 2u;
alias Early = Extras;
fn row_of(pair: u32, which: u32) -> u32 { return min(pair, PAIRS - 1u) + which * PAIRS; }
fn prepare(pair: u32, column: u32) -> Early {
    return extras_of(y_row(column), extras_column(ROW_OFFSET + min(pair, PAIRS - 1u)));
}
