// The rows of one sequence in a step, which follow each other: a run. Needs row.wgsl.
fn begins_run(row: u32) -> bool { return row == 0u || slot_of(row - 1u) != slot_of(row); }

// The row behind the last of the run that `row` is in.
fn end_of_run(row: u32) -> u32 {
    let slot = slot_of(row);
    var inside = row;
    var beyond = inputs[0];
    while (beyond - inside > 1u) {
        let middle = (inside + beyond) / 2u;
        if (slot_of(middle) == slot) { inside = middle; } else { beyond = middle; }
    }
    return beyond;
}
