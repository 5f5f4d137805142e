fn x_row(column: u32) -> u32 { return column; }
