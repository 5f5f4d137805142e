// Rows that see each other: those of a sequence; and a row's number among them. See attention_rows.py.
fn run_of(row: u32) -> u32 { return slot_of(row); }
fn order_of(row: u32) -> u32 { return position_of(row); }
