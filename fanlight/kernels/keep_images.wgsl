// A value a thread. See keep_images.py.
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.y;
    let column = id.x;
    if (row >= inputs[IMAGE_ROWS] || column >= COLUMNS) { return; }
    images[(inputs[IMAGES_AT] + row) * COLUMNS + column] = x[row * X_STRIDE + X_OFFSET + column];
}
