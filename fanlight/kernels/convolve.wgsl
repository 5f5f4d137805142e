// A channel of a row a thread; of the first rows of a run, which read what the slot keeps, the first row's thread. See convolve.py.
const BEFORE = TAPS - 1u;

fn input_of(row: u32, channel: u32) -> f32 { return x[row * X_STRIDE + X_OFFSET + channel]; }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.y;
    let channel = id.x;
    if (row >= inputs[0] || channel >= CHANNELS) { return; }
    let slot = slot_of(row);
    if (row >= BEFORE && slot_of(row - BEFORE) == slot) {
        var sum = 0.0;
        for (var j = 0u; j < TAPS; j++) { sum += w[channel * TAPS + j] * input_of(row - BEFORE + j, channel); }
        y[row * Y_STRIDE + channel] = epilogue(sum, extras_of(row, channel));
    }
    if (!begins_run(row)) { return; }
    let position = position_of(row);
    let end = end_of_run(row);
    var held: array<f32, TAPS>;
    for (var j = 0u; j < BEFORE; j++) {
        held[j] = select(0.0, state[(slot * BEFORE + j) * CHANNELS + channel], position + j >= BEFORE);
    }
    for (var i = row; i < min(end, row + BEFORE); i++) {
        held[BEFORE] = input_of(i, channel);
        var sum = 0.0;
        for (var j = 0u; j < TAPS; j++) { sum += w[channel * TAPS + j] * held[j]; }
        y[i * Y_STRIDE + channel] = epilogue(sum, extras_of(i, channel));
        for (var j = 0u; j < BEFORE; j++) { held[j] = held[j + 1u]; }
    }
    for (var j = 0u; j < BEFORE; j++) {
        if (end - row > BEFORE) { held[j] = input_of(end - BEFORE + j, channel); }
        state[(slot * BEFORE + j) * CHANNELS + channel] = held[j];
    }
}
