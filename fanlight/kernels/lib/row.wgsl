// A row of the step, four words of `inputs`. See inputs.py, which packs them.
fn row_word(row: u32, word: u32) -> u32 { return inputs[ROWS_AT + 4u * row + word]; }
fn token_of(row: u32) -> u32 { return row_word(row, 0u); }
fn position_of(row: u32) -> u32 { return row_word(row, 1u); }
fn slot_of(row: u32) -> u32 { return row_word(row, 2u); }
fn is_output(row: u32) -> bool { return (row_word(row, 3u) & 1u) != 0u; }
