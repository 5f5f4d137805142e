// Rows are more than columns: a workgroup has a block of them. Past the last it computes that one again.
var<private> first_row: u32;
fn begin(group: vec3<u32>, thread: u32) -> bool {
    first_row = group.z * COLS;
    return group.z * COLS < inputs[0];
}
fn x_row(column: u32) -> u32 { return min(first_row + column, inputs[0] - 1u); }
fn y_row(column: u32) -> u32 { return x_row(column); }
