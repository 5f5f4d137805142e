// R rows and one head against all rows of their sequences in the step. See attention_rows.py.

const GROUP = HEADS / KV_HEADS;
const D4 = D / 4u;
const V4 = DV / 4u;
const ITEMS = (R * V4 + TILE - 1u) / TILE; // vec4 of the results that a thread keeps
const LANES = TILE / R; // threads that weigh the scores of a row
const STRIDE = TILE + 1u; // of scores, lest rows share a bank
const NOTHING = -1e30;

var<workgroup> queries: array<vec4<f32>, R * D4>;
var<workgroup> weights: array<f32, R * STRIDE>; // first scores
var<workgroup> scales: array<f32, R>; // of what was summed before

fn sees(row: u32, other: u32) -> bool {
    let own = order_of(row);
    let position = order_of(other);
    let is_near = select(position - own <= AHEAD, own - position <= BEHIND, position <= own);
    return is_near && run_of(other) == run_of(row);
}

@compute @workgroup_size(TILE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row0 = group.y * R;
    let rows = inputs[0];
    if (row0 >= rows) { return; }
    let last = min(row0 + R, rows);
    let kv_head = group.x / GROUP;
    for (var i = thread; i < (last - row0) * D4; i += TILE) {
        queries[i] = q[((row0 + i / D4) * Q_STRIDE + Q_OFFSET) / 4u + group.x * D4 + i % D4];
    }
    // Each sequence that has rows here in turn, so that a row's sums do not depend on who stands beside it.
    var begin = row0;
    while (begin < last) {
        let run = run_of(begin);
        var stop = begin + 1u;
        while (stop < last && run_of(stop) == run) { stop++; }
        let start = begin - min(order_of(begin), begin);
        let near = begin - min(min(order_of(begin), BEHIND), begin);
        let end = stop + min(rows - stop, AHEAD);
        var acc = array<vec4<f32>, ITEMS>();
        var total = array<f32, ITEMS>();
        var top = NOTHING;
        for (var first = start + (near - start) / TILE * TILE; first < end && run_of(first) == run; first += TILE) {
            let count = min(TILE, end - first);
            let other = first + thread;
            workgroupBarrier();
            var dots = array<f32, R>();
            if (thread < count) {
                for (var d = 0u; d < D4; d++) {
                    let key = k[(other * K_STRIDE + K_OFFSET) / 4u + kv_head * D4 + d];
                    for (var r = 0u; r < R; r++) { dots[r] += dot(queries[r * D4 + d], key); }
                }
            }
            for (var r = 0u; r < R; r++) {
                let row = row0 + r;
                var score = NOTHING;
                if (thread < count && row >= begin && row < stop && sees(row, other)) { score = score_of(dots[r]); }
                weights[r * STRIDE + thread] = score;
            }
            workgroupBarrier();
            let mine = thread / LANES * STRIDE;
            var now = top;
            for (var i = 0u; i < TILE; i++) { now = max(now, weights[mine + i]); }
            workgroupBarrier();
            for (var i = thread % LANES; i < TILE; i += LANES) {
                let score = weights[mine + i];
                weights[mine + i] = select(exp(score - now), 0.0, score == NOTHING);
            }
            if (thread % LANES == 0u) { scales[thread / LANES] = exp(top - now); }
            top = now;
            workgroupBarrier();
            for (var j = 0u; j < ITEMS; j++) {
                let item = thread + j * TILE;
                if (item >= R * V4) { break; }
                let r = item / V4;
                var sum = acc[j] * scales[r];
                var whole = total[j] * scales[r];
                for (var i = 0u; i < count; i++) {
                    let weight = weights[r * STRIDE + i];
                    let value = v[((first + i) * V_STRIDE + V_OFFSET) / 4u + kv_head * V4 + item % V4];
                    whole += weight;
                    sum += weight * select(vec4<f32>(), value, weight > 0.0); // another sequence's may be no numbers
                }
                acc[j] = sum;
                total[j] = whole;
            }
        }
        for (var j = 0u; j < ITEMS; j++) {
            let item = thread + j * TILE;
            let row = row0 + item / V4;
            if (row >= begin && row < stop) { y[row * Y_STRIDE / 4u + group.x * V4 + item % V4] = acc[j] / total[j]; }
        }
        begin = stop;
    }
}
