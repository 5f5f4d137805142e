// A value of a patch a thread. See stretch.py.

// Where on an axis of the table a place of so many is.
fn along(place: u32, count: u32) -> f32 { return f32(place * (SIDE - 1u)) / f32(max(count, 2u) - 1u); }

fn line_at(row: u32, left: u32, right: u32, share: f32, column: u32) -> f32 {
    let low = table[(row * SIDE + left) * COLUMNS + column];
    return low * (1.0 - share) + table[(row * SIDE + right) * COLUMNS + column] * share;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.y;
    let column = id.x;
    if (row >= inputs[0] || column >= COLUMNS) { return; }
    let place = token_of(row);
    if (place == NO_PATCH) {
        y[row * Y_STRIDE + column] = 0.0;
        return;
    }
    let from_top = along(place >> 16u, inputs[GRID_HEIGHT]);
    let from_left = along(place & 0xffffu, inputs[GRID_WIDTH]);
    let top = min(u32(from_top), SIDE - 1u);
    let left = min(u32(from_left), SIDE - 1u);
    let right = min(left + 1u, SIDE - 1u);
    let share = from_left - f32(left);
    let upper = line_at(top, left, right, share, column);
    let lower = line_at(min(top + 1u, SIDE - 1u), left, right, share, column);
    let down = from_top - f32(top);
    y[row * Y_STRIDE + column] = upper * (1.0 - down) + lower * down;
}
