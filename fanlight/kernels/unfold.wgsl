// An element a thread. See unfold.py.
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.y;
    if (row >= inputs[0] || id.x >= CHANNELS * TAPS) { return; }
    let channel = id.x / TAPS;
    let later = 2u * row + AFTER + id.x % TAPS; // by BEFORE later than the frame
    var value = 0.0;
    if (later >= BEFORE && later - BEFORE < 2u * inputs[0]) {
        let frame = later - BEFORE;
        if (frame % 2u == 0u) {
            value = even[frame / 2u * EVEN_STRIDE + EVEN_OFFSET + channel];
        } else {
            value = odd[frame / 2u * ODD_STRIDE + ODD_OFFSET + channel];
        }
    }
    y[row * Y_STRIDE + id.x] = value;
}
