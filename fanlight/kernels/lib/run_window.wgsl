// Rows that see each other: those of a window of a picture; and a row's number among them. See attention_rows.py.
fn run_of(row: u32) -> u32 { return row_word(row, 3u); }
fn order_of(row: u32) -> u32 { return row - row_word(row, 3u); }
