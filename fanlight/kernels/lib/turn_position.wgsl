// What a pair turns by: the row's position. See rope.py.
fn turn_of(row: u32, pair: u32) -> u32 { return position_of(row); }
