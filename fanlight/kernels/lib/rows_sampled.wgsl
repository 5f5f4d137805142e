// Column c is the row that sample c continues.
fn x_row(column: u32) -> u32 { return min(inputs[SAMPLES_AT + column * 16u], inputs[0] - 1u); }
fn begin(group: vec3<u32>, thread: u32) -> bool { return true; }
fn y_row(column: u32) -> u32 { return column; }
