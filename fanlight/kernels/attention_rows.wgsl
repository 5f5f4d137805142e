// One row and head against all rows of its sequence in the step. See attention_rows.py.

const GROUP = HEADS / KV_HEADS;
const D4 = D / 4u;
const V4 = DV / 4u;
const ITEMS = (V4 + TILE - 1u) / TILE; // vec4 of the result that a thread keeps
const NOTHING = -1e30;

var<workgroup> query: array<vec4<f32>, D4>;
var<workgroup> scores: array<f32, TILE>;

fn sees(row: u32, other: u32) -> bool {
    let own = position_of(row);
    let position = position_of(other);
    let is_near = select(position - own <= AHEAD, own - position <= BEHIND, position <= own);
    return is_near && slot_of(other) == slot_of(row);
}

fn score(row: u32, other: u32, head: u32) -> f32 {
    if (!sees(row, other)) { return NOTHING; }
    var dots = 0.0;
    for (var d = 0u; d < D4; d++) { dots += dot(query[d], k[(other * K_STRIDE + K_OFFSET) / 4u + head * D4 + d]); }
    return score_of(dots);
}

@compute @workgroup_size(TILE)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.y;
    let rows = inputs[0];
    if (row >= rows) { return; }
    let kv_head = group.x / GROUP;
    for (var d = thread; d < D4; d += TILE) { query[d] = q[(row * Q_STRIDE + Q_OFFSET) / 4u + group.x * D4 + d]; }
    var acc: array<vec4<f32>, ITEMS>;
    var top = NOTHING;
    var total = 0.0;
    let before = min(position_of(row), BEHIND);
    let end = min(rows - 1u - row, AHEAD) + row + 1u;
    // The first row of a tile can be another sequence's only where this one has ended.
    for (var first = row - min(before, row); first < end && slot_of(first) == slot_of(row); first += TILE) {
        let count = min(TILE, end - first);
        workgroupBarrier();
        if (thread < count) { scores[thread] = score(row, first + thread, kv_head); }
        workgroupBarrier();
        var now = top;
        for (var i = 0u; i < count; i++) { now = max(now, scores[i]); }
        let scale = exp(top - now);
        top = now;
        total *= scale;
        for (var j = 0u; j < ITEMS; j++) { acc[j] *= scale; }
        for (var i = 0u; i < count; i++) {
            if (scores[i] == NOTHING) { continue; }
            let weight = exp(scores[i] - top);
            total += weight;
            for (var j = 0u; j < ITEMS; j++) {
                let d = min(thread + j * TILE, V4 - 1u);
                acc[j] += weight * v[((first + i) * V_STRIDE + V_OFFSET) / 4u + kv_head * V4 + d];
            }
        }
    }
    for (var j = 0u; j < ITEMS; j++) {
        let d = thread + j * TILE;
        if (d < V4) { y[row * Y_STRIDE / 4u + group.x * V4 + d] = acc[j] / total; }
    }
}
