// Neighbouring rows of the step that belong to one sequence, which a workgroup takes together: rows row0 + `first` to row0 + `last` - 1,
// and the positions that any of them sees, `start` to `end` - 1.
struct Segment {
    slot: u32,
    last: u32,
    start: u32,
    end: u32,
}

// What lies before the window of a row that sees up to `end` - 1.
fn window_start(end: u32) -> u32 { return select(0u, end - min(end, WINDOW), WINDOW > 0u); }

// The last position that a row sees: its own, or of its picture (inputs.py, AHEAD_SHIFT).
fn reach_of(row: u32) -> u32 { return position_of(row) + ((row_word(row, 3u) >> 4u) & 0xfffu); }

fn segment_from(row0: u32, first: u32, rows: u32) -> Segment {
    let slot = slot_of(row0 + first);
    var last = first + 1u;
    while (last < rows && slot_of(row0 + last) == slot) { last++; }
    return Segment(slot, last, window_start(position_of(row0 + first) + 1u), reach_of(row0 + last - 1u) + 1u);
}
