// A value a thread: the row's own, or a picture's. See put_images.py.
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.y;
    let column = id.x;
    if (row >= inputs[0] || column >= COLUMNS) { return; }
    let flags = row_word(row, 3u);
    var value = x[row * X_STRIDE + X_OFFSET + column];
    if ((flags & ROW_IS_IMAGE) != 0u) {
        let kept = images[(flags >> IMAGE_ROW_SHIFT) * IMAGES_STRIDE + IMAGES_OFFSET + column];
        value = select(value + kept, kept, IMAGES_OFFSET == 0u);
    }
    y[row * Y_STRIDE + column] = value;
}
