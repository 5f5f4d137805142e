// A value of a patch a thread. See stretch.py.

// The share that a line has of what is mixed about `centre`, before all shares are brought to a sum of 1.
fn share_of(line: u32, about: Mixed) -> f32 { return max(1.0 - abs(f32(line) - about.centre) / about.reach, 0.0); }

// The first line that may have a share, and the last.
fn first_of(about: Mixed) -> u32 { return u32(max(ceil(about.centre - about.reach), 0.0)); }
fn last_of(about: Mixed) -> u32 { return min(u32(max(floor(about.centre + about.reach), 0.0)), SIDE - 1u); }

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
    let down = along(place >> 16u, inputs[GRID_HEIGHT]);
    let across = along(place & 0xffffu, inputs[GRID_WIDTH]);
    var sum = 0.0;
    var whole = 0.0;
    for (var i = first_of(down); i <= last_of(down); i++) {
        for (var j = first_of(across); j <= last_of(across); j++) {
            let share = share_of(i, down) * share_of(j, across);
            sum += share * table[(i * SIDE + j) * COLUMNS + column];
            whole += share;
        }
    }
    y[row * Y_STRIDE + column] = sum / whole;
}
