// A row a workgroup: its largest, then each by it. See round_rows.py.
var<workgroup> tops: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.x;
    if (row >= inputs[0]) { return; }
    let first = row * X_STRIDE + X_OFFSET;
    var top = LEAST;
    for (var i = thread; i < COLUMNS; i += WORKGROUP) { top = max(top, abs(x[first + i])); }
    tops[thread] = top;
    workgroupBarrier();
    for (var step = WORKGROUP / 2u; step > 0u; step /= 2u) {
        if (thread < step) { tops[thread] = max(tops[thread], tops[thread + step]); }
        workgroupBarrier();
    }
    let s = STEPS / tops[0];
    for (var i = thread; i < COLUMNS; i += WORKGROUP) { y[row * Y_STRIDE + i] = round(x[first + i] * s) / s; }
}
