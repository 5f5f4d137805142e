// A row's heads, LANES threads to each. See norm.py.
const HEADS_HERE = WORKGROUP / LANES;

var<workgroup> partial: array<f32, WORKGROUP>;

// Of what the head's threads give.
fn total(value: f32, thread: u32) -> f32 {
    partial[thread] = value;
    workgroupBarrier();
    for (var step = LANES / 2u; step > 0u; step /= 2u) {
        if (thread % LANES < step) { partial[thread] += partial[thread + step]; }
        workgroupBarrier();
    }
    let sum = partial[thread / LANES * LANES];
    workgroupBarrier();
    return sum;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.x;
    if (row >= inputs[0]) { return; }
    let head = group.y * HEADS_HERE + thread / LANES;
    let column = min(head, HEADS - 1u) * SIZE;
    let first = row * X_STRIDE + X_OFFSET + column;
    let lane = thread % LANES;
    var mean = 0.0;
    if (CENTERED) {
        var sum = 0.0;
        for (var i = lane; i < SIZE; i += LANES) { sum += x[first + i]; }
        mean = total(sum, thread) / f32(SIZE);
    }
    var squares = 0.0;
    for (var i = lane; i < SIZE; i += LANES) { squares += (x[first + i] - mean) * (x[first + i] - mean); }
    let scale = inverseSqrt(total(squares, thread) / f32(SIZE) + EPS);
    if (head >= HEADS) { return; }
    for (var i = lane; i < SIZE; i += LANES) {
        y[row * Y_STRIDE + column + i] = epilogue((x[first + i] - mean) * scale, extras_of(row, column + i));
    }
}
