// A value of a patch a thread. See patches.py.
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
    let channel = column / (PATCH * PATCH);
    let top = (place >> 16u) * PATCH + column / PATCH % PATCH;
    let left = (place & 0xffffu) * PATCH + column % PATCH;
    let at = (top * inputs[GRID_WIDTH] * PATCH + left) * 3u + channel;
    let byte = f32((pixels[at / 4u] >> (8u * (at % 4u))) & 255u);
    let scale = bitcast<f32>(inputs[PIXEL_SCALE + channel]);
    y[row * Y_STRIDE + column] = byte * scale + bitcast<f32>(inputs[PIXEL_SHIFT + channel]);
}
