// A channel of a row a thread. The first row's of a run reads what the slot keeps, and leaves the run's last there. See shift.py.
fn input_of(row: u32, channel: u32) -> f32 { return x[row * X_STRIDE + X_OFFSET + channel]; }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.y;
    let channel = id.x;
    if (row >= inputs[0] || channel >= CHANNELS) { return; }
    if (!begins_run(row)) {
        y[row * Y_STRIDE + channel] = input_of(row - 1u, channel);
        return;
    }
    let kept = slot_of(row) * CHANNELS + channel;
    y[row * Y_STRIDE + channel] = select(0.0, state[kept], position_of(row) > 0u);
    state[kept] = input_of(end_of_run(row) - 1u, channel);
}
