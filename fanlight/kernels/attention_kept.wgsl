// A head of a row a workgroup: all scores, their softmax, and the values in parts that are added up. See attention_kept.py.
const D4 = D / 4u;
const PARTS = WORKGROUP / D4; // of the places, of whose values a thread sums four columns

var<workgroup> query: array<vec4<f32>, D4>;
var<workgroup> scores: array<f32, PLACES>;
var<workgroup> shared_values: array<f32, WORKGROUP>;
var<workgroup> sums: array<vec4<f32>, WORKGROUP>;

fn kept4(slot: u32, which: u32, place: u32, head: u32, i: u32) -> vec4<f32> {
    let v = state[(((slot * 2u + which) * PLACES + place) * HEADS + head) * D4 + i];
    return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let head = group.x;
    let row = group.y;
    if (row >= inputs[0]) { return; }
    let slot = slot_of(row);
    for (var i = thread; i < D4; i += WORKGROUP) {
        let at = row * Q_STRIDE + Q_OFFSET + head * D + 4u * i;
        query[i] = vec4<f32>(q[at], q[at + 1u], q[at + 2u], q[at + 3u]) * SCALE;
    }
    workgroupBarrier();
    var top = -3e38;
    for (var place = thread; place < PLACES; place += WORKGROUP) {
        var score = 0.0;
        for (var i = 0u; i < D4; i++) { score += dot(query[i], kept4(slot, 0u, place, head, i)); }
        scores[place] = score;
        top = max(top, score);
    }
    shared_values[thread] = top;
    workgroupBarrier();
    for (var step = WORKGROUP / 2u; step > 0u; step /= 2u) {
        if (thread < step) { shared_values[thread] = max(shared_values[thread], shared_values[thread + step]); }
        workgroupBarrier();
    }
    top = shared_values[0];
    workgroupBarrier();
    var total = 0.0;
    for (var place = thread; place < PLACES; place += WORKGROUP) {
        let weight = exp(scores[place] - top);
        scores[place] = weight;
        total += weight;
    }
    shared_values[thread] = total;
    workgroupBarrier();
    for (var step = WORKGROUP / 2u; step > 0u; step /= 2u) {
        if (thread < step) { shared_values[thread] += shared_values[thread + step]; }
        workgroupBarrier();
    }
    let column = thread % D4;
    let part = thread / D4;
    var sum = vec4<f32>();
    if (part < PARTS) {
        for (var place = part; place < PLACES; place += PARTS) { sum += scores[place] * kept4(slot, 1u, place, head, column); }
    }
    sums[thread] = sum;
    workgroupBarrier();
    if (thread < D4) {
        for (var i = 1u; i < PARTS; i++) { sum += sums[i * D4 + thread]; }
        sum /= shared_values[0];
        let at = row * Y_STRIDE + head * D + 4u * thread;
        y[at] = sum.x;
        y[at + 1u] = sum.y;
        y[at + 2u] = sum.z;
        y[at + 3u] = sum.w;
    }
}
