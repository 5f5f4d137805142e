fn begin(group: vec3<u32>, thread: u32) -> bool { return true; }
fn x_row(column: u32) -> u32 { return column; }
fn y_row(column: u32) -> u32 { return column; }
