// One workgroup a head. See rescale.py.
fn size_of_like(row: u32, thread: u32) -> f32 {
    let first = row * LIKE_STRIDE + LIKE_OFFSET;
    var mean = 0.0;
    if (CENTERED) {
        var sum = 0.0;
        for (var i = thread; i < LIKE_SIZE; i += WORKGROUP) { sum += like[first + i]; }
        mean = total(sum, thread) / f32(LIKE_SIZE);
    }
    var squares = 0.0;
    for (var i = thread; i < LIKE_SIZE; i += WORKGROUP) {
        let v = like[first + i] - mean;
        squares += v * v;
    }
    return sqrt(total(squares, thread) / f32(LIKE_SIZE));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.x;
    if (row >= inputs[0]) { return; }
    let column = group.y * SIZE;
    let first = row * X_STRIDE + X_OFFSET + column;
    var scale = size_of_like(row, thread);
    if (LEAST > 0.0) {
        var squares = 0.0;
        for (var i = thread; i < SIZE; i += WORKGROUP) { squares += x[first + i] * x[first + i]; }
        scale /= max(sqrt(total(squares, thread) / f32(SIZE)), LEAST);
    }
    for (var i = thread; i < SIZE; i += WORKGROUP) {
        y[row * Y_STRIDE + column + i] = epilogue(x[first + i] * scale, extras_of(row, column + i));
    }
}
