// All parts of a row read the row.
fn row_of_x(i: u32) -> u32 { return row_of_y(i) / TOP_K; }
