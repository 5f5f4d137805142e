// The file's row that becomes `row`: of each head the first params[6] rows are interleaved, halves side by side. params[5]: head_dim,
// or 0 where none are; then params[6] is the step from row to row, 0 for 1.
fn source_row(row: u32) -> u32 {
    let head = params[5];
    let rotary = params[6];
    if (head == 0u) { return row * max(rotary, 1u); }
    let d = row % head;
    return select(row, row - d + (d % 2u) * (rotary / 2u) + d / 2u, d < rotary);
}
