// One workgroup over all rows, twice: the largest, then each by it. See level.py.
var<workgroup> tops: array<f32, WORKGROUP>;

fn value(i: u32) -> f32 { return x[i / COLUMNS * X_STRIDE + X_OFFSET + i % COLUMNS]; }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) thread: u32) {
    let count = inputs[0] * COLUMNS;
    var top = QUIETEST;
    for (var i = thread; i < count; i += WORKGROUP) { top = max(top, value(i)); }
    tops[thread] = top;
    workgroupBarrier();
    for (var step = WORKGROUP / 2u; step > 0u; step /= 2u) {
        if (thread < step) { tops[thread] = max(tops[thread], tops[thread + step]); }
        workgroupBarrier();
    }
    let loudest_before = loudest[0];
    let all = max(tops[0], loudest_before);
    storageBarrier();
    if (thread == 0u) { loudest[0] = all; }
    let least = all - BELOW;
    for (var i = thread; i < count; i += WORKGROUP) {
        y[i / COLUMNS * Y_STRIDE + i % COLUMNS] = (max(value(i), least) + SHIFT) / SCALE;
    }
}
