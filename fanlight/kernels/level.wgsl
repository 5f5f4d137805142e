// One workgroup over all rows, twice: the largest, then each by it. See level.py.
var<workgroup> tops: array<f32, WORKGROUP>;

fn value(i: u32) -> f32 { return x[i / COLUMNS * X_STRIDE + X_OFFSET + i % COLUMNS]; }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) thread: u32) {
    let count = inputs[0] * COLUMNS;
    var top = -3e38;
    for (var i = thread; i < count; i += WORKGROUP) { top = max(top, value(i)); }
    tops[thread] = top;
    workgroupBarrier();
    for (var step = WORKGROUP / 2u; step > 0u; step /= 2u) {
        if (thread < step) { tops[thread] = max(tops[thread], tops[thread + step]); }
        workgroupBarrier();
    }
    let least = tops[0] - BELOW;
    for (var i = thread; i < count; i += WORKGROUP) {
        y[i / COLUMNS * Y_STRIDE + i % COLUMNS] = (max(value(i), least) + SHIFT) / SCALE;
    }
}
