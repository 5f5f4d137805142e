// A value a thread. See keep_images.py.
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.y;
    let column = id.x;
    if (row >= inputs[IMAGE_ROWS] || column >= COLUMNS) { return; }
    var own = row;
    if (MERGE != 0u) {
        let place = token_of(row * MERGE * MERGE);
        own = (place >> 16u) / max(MERGE, 1u) * (inputs[GRID_WIDTH] / max(MERGE, 1u)) + (place & 0xffffu) / max(MERGE, 1u);
    }
    images[(inputs[IMAGES_AT] + own) * COLUMNS + column] = x[row * X_STRIDE + X_OFFSET + column];
}
