// Each part has its own row of x.
fn row_of_x(i: u32) -> u32 { return row_of_y(i); }
