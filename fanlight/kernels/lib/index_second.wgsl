// Whether the row is of the second text of a pair. See embed.py.
fn index_of(row: u32) -> u32 { return (row_word(row, 3u) >> 1u) & 1u; }
fn count(row: u32, index: u32) {}
