// A thread has one column of all values. See blend.py.
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.y;
    if (id.x >= COLUMNS || row >= inputs[0]) { return; }
    var own = array<f32, OF>();
    for (var k = 0u; k < OF; k++) { own[k] = x[row * X_STRIDE + X_OFFSET + k * COLUMNS + id.x]; }
    let other = other_of(row, id.x);
    for (var j = 0u; j < COUNT; j++) {
        var sum = select(other, 0.0, j == 0u);
        for (var k = 0u; k < OF; k++) { sum += shares[row * SHARES_STRIDE + SHARES_OFFSET + j * OF + k] * own[k]; }
        let column = j * COLUMNS + id.x;
        y[row * Y_STRIDE + column] = epilogue(sum, extras_of(row, column));
    }
}
