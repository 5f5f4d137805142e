const GROUP = HEADS / KV_HEADS;
const PARTS = GROUP / SUB; // workgroups that share a key head
const D4 = D / 4u;
const ROW_CELLS = D4 + 1u; // of the tile: one spare cell, so that neighbouring keys lie in different banks
const FOURS = KEYS / 4u;
const ROW_FOURS = FOURS + 1u; // of the scores
const QUERIES = (M * FOURS + WORKGROUP - 1u) / WORKGROUP; // whose scores a thread computes
const LANES = WORKGROUP / M; // threads of a query's softmax
const TURNS = (FOURS + LANES - 1u) / LANES;
const COLUMN_GROUPS = WORKGROUP / D4; // threads that share four elements of the result
const RESULTS = (M + COLUMN_GROUPS - 1u) / COLUMN_GROUPS; // queries whose results a thread sums
const CELLS = (KEYS * D4 + WORKGROUP - 1u) / WORKGROUP; // that a thread loads
const VALUES = KV_HEADS * NUM_BLOCKS * BLOCK_SIZE * D4; // cells from a key to its value
const NOTHING = -1e30;

var<workgroup> qs: array<vec4<f32>, M * D4>;
var<workgroup> tile: array<Cell, KEYS * ROW_CELLS>; // keys, then values
// Query m's scores of keys f, f + FOURS, f + 2 FOURS and f + 3 FOURS at m * ROW_FOURS + f; then their weights.
var<workgroup> scores: array<vec4<f32>, M * ROW_FOURS>;
var<workgroup> first_seen: array<u32, M>;
var<workgroup> end_seen: array<u32, M>;
var<workgroup> rescale: array<f32, M>; // what earlier results must be multiplied by
var<workgroup> partial: array<f32, WORKGROUP>;

// The cells of KEYS keys from `first` on; positions from `end` on stand for the last.
fn load_cells(thread: u32, slot: u32, head: u32, first: u32, end: u32, offset: u32) -> array<Cell, CELLS> {
    var cells: array<Cell, CELLS>;
    for (var i = 0u; i < CELLS; i++) {
        let c = min(thread + i * WORKGROUP, KEYS * D4 - 1u);
        cells[i] = kv_cell(kv_element(0u, slot, min(first + c / D4, end - 1u), head) / 4u + offset + c % D4);
    }
    return cells;
}

fn put_cells(thread: u32, cells: array<Cell, CELLS>) {
    for (var i = 0u; i < CELLS; i++) {
        let c = thread + i * WORKGROUP;
        if (c < KEYS * D4) { tile[c / D4 * ROW_CELLS + c % D4] = cells[i]; }
    }
}

// Scores of the tile's keys; what a query may not see becomes NOTHING.
fn score(thread: u32, head0: u32, first: u32) {
    let f = thread % FOURS;
    let m0 = thread / FOURS * QUERIES;
    if (m0 >= M) { return; }
    var dots: array<vec4<f32>, QUERIES>;
    for (var d = 0u; d < D4; d++) {
        let k0 = cell4(tile[f * ROW_CELLS + d]);
        let k1 = cell4(tile[(f + FOURS) * ROW_CELLS + d]);
        let k2 = cell4(tile[(f + 2u * FOURS) * ROW_CELLS + d]);
        let k3 = cell4(tile[(f + 3u * FOURS) * ROW_CELLS + d]);
        for (var i = 0u; i < QUERIES; i++) {
            let query = qs[(m0 + i) * D4 + d];
            dots[i] += vec4<f32>(dot(query, k0), dot(query, k1), dot(query, k2), dot(query, k3));
        }
    }
    let position = vec4<u32>(first + f) + vec4<u32>(0u, FOURS, 2u * FOURS, 3u * FOURS);
    for (var i = 0u; i < QUERIES; i++) {
        let sees = (position >= vec4<u32>(first_seen[m0 + i])) & (position < vec4<u32>(end_seen[m0 + i]));
        let slope = slope_of(head0 + (m0 + i) % SUB);
        let scored = score_of(dots[i], slope, vec4<f32>(position), f32(end_seen[m0 + i]) - 1.0);
        scores[(m0 + i) * ROW_FOURS + f] = select(vec4<f32>(NOTHING), scored, sees);
    }
}

fn largest4(v: vec4<f32>) -> f32 { return max(max(v.x, v.y), max(v.z, v.w)); }

fn keep_largest(thread: u32) {
    let m = thread / LANES;
    var top = NOTHING;
    for (var i = 0u; i < TURNS; i++) {
        let f = thread % LANES + i * LANES;
        if (f < FOURS && m < M) { top = max(top, largest4(scores[m * ROW_FOURS + f])); }
    }
    partial[thread] = top;
}

// Scores to weights relative to the running maximum `top`; returns the new maximum and this thread's part of the sum.
fn soften(thread: u32, top: f32, sum: f32) -> vec2<f32> {
    let m = thread / LANES;
    if (m >= M) { return vec2<f32>(top, sum); }
    var now = top;
    for (var i = 0u; i < LANES; i++) { now = max(now, partial[m * LANES + i]); }
    let scale = exp(top - now);
    var total = sum * scale;
    for (var i = 0u; i < TURNS; i++) {
        let f = thread % LANES + i * LANES;
        if (f < FOURS) {
            let s = scores[m * ROW_FOURS + f];
            let weight = select(vec4<f32>(0.0), exp(s - now), s > vec4<f32>(NOTHING));
            scores[m * ROW_FOURS + f] = weight;
            total += weight.x + weight.y + weight.z + weight.w;
        }
    }
    if (thread % LANES == 0u) { rescale[m] = scale; }
    return vec2<f32>(now, total);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32) {
    let kv_head = group.x / PARTS;
    let head0 = kv_head * GROUP + group.x % PARTS * SUB;
    let row0 = (groups.y - 1u - group.y) * R;
    if (row0 >= inputs[0]) { return; }
    let rows = min(R, inputs[0] - row0);
    for (var i = thread; i < M * D4; i += WORKGROUP) {
        let m = min(i / D4, rows * SUB - 1u);
        qs[i] = q[((row0 + m / SUB) * HEADS + head0 + m % SUB) * D4 + i % D4];
    }
    let column = thread % D4;
    let result0 = thread / D4 * RESULTS;
    var acc: array<vec4<f32>, RESULTS>;
    var top_sum = vec2<f32>(NOTHING, 0.0); // of query thread / LANES
    var first = 0u;
    while (first < rows) {
        let segment = segment_from(row0, first, rows);
        let slot = segment.slot;
        let last = segment.last;
        let start = segment.start;
        let end = segment.end;
        workgroupBarrier();
        for (var m = thread; m < M; m += WORKGROUP) {
            let r = min(m / SUB, rows - 1u);
            end_seen[m] = select(0u, reach_of(row0 + r) + 1u, r >= first && r < last);
            first_seen[m] = window_start(position_of(row0 + r) + 1u);
        }
        var cells = load_cells(thread, slot, kv_head, start, end, 0u);
        for (var begin = start; begin < end; begin += KEYS) {
            put_cells(thread, cells);
            workgroupBarrier();
            cells = load_cells(thread, slot, kv_head, begin, end, VALUES);
            score(thread, head0, begin);
            workgroupBarrier();
            put_cells(thread, cells);
            keep_largest(thread);
            workgroupBarrier();
            top_sum = soften(thread, top_sum.x, top_sum.y);
            cells = load_cells(thread, slot, kv_head, min(begin + KEYS, end - 1u), end, 0u);
            workgroupBarrier();
            if (result0 < M) {
                for (var i = 0u; i < RESULTS; i++) { acc[i] *= rescale[min(result0 + i, M - 1u)]; }
                for (var f = 0u; f < FOURS; f++) {
                    let v0 = cell4(tile[f * ROW_CELLS + column]);
                    let v1 = cell4(tile[(f + FOURS) * ROW_CELLS + column]);
                    let v2 = cell4(tile[(f + 2u * FOURS) * ROW_CELLS + column]);
                    let v3 = cell4(tile[(f + 3u * FOURS) * ROW_CELLS + column]);
                    for (var i = 0u; i < RESULTS; i++) {
                        let weight = scores[min(result0 + i, M - 1u) * ROW_FOURS + f];
                        acc[i] += weight.x * v0 + weight.y * v1 + weight.z * v2 + weight.w * v3;
                    }
                }
            }
            workgroupBarrier();
        }
        first = last;
    }
    partial[thread] = top_sum.y;
    workgroupBarrier();
    for (var i = 0u; i < RESULTS; i++) {
        let m = result0 + i;
        if (m < rows * SUB) {
            var sum = 0.0;
            for (var l = 0u; l < LANES; l++) { sum += partial[m * LANES + l]; }
            y[((row0 + m / SUB) * HEADS + head0 + m % SUB) * D4 + column] = acc[i] / sum;
        }
    }
}
