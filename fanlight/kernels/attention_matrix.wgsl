// Attention of M = 64 rows of one head on subgroup matrices of f16, 16 x 16 x 16, summed in f32. See attention_matrix.py.
// Each of four subgroups of 32 takes 16 rows; two neighbouring threads share a row's softmax. Keys, then values, go through workgroup
// memory: matrices come far slower out of the cache itself. They are variables of their own: an array of them would be kept in memory.

alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Sum = subgroup_matrix_result<f32, 16, 16>;

const THREADS = 128u;
const M = 64u;
const GROUP = HEADS / KV_HEADS;
const BLOCKS = KEYS / 16u;
const S_FOURS = KEYS / 4u + 1u; // vec4<f32> from row to row of the scores; one between them keeps rows in different banks
const P_EIGHTS = KEYS / 8u + 1u; // eight f16, from row to row of the weights
const T_EIGHTS = D / 8u + 1u; // and from key to key, or value to value
const CELLS = KEYS * D / 8u / THREADS; // eight elements of keys or values each, that a thread brings
// Bytes: where weights, then keys or values, begin in `memory`; scores come first.
const P_AT = 16u * M * S_FOURS;
const T_AT = P_AT + 16u * M * P_EIGHTS;
const HALF = KEYS / 2u; // keys of a row that a thread takes
const NOTHING = -1e30; // the score of a key that a row does not see
const LEAST = -1e20; // above it, so that such a key weighs nothing even before a row has seen any
const SLACK = 8.0; // that a score may exceed `top` by: weights are at most e^8 then, and seldom have earlier results to be rescaled

// Whether one of the factors is not 1. Declared before `memory`: behind it, it puts `memory` off a boundary of 16 bytes (Chromium 156).
var<workgroup> outgrown: u32;
var<workgroup> memory: buffer<T_AT + 16u * KEYS * T_EIGHTS>;
var<workgroup> factors: array<f32, M>;

// What a thread knows of its row.
struct Row {
    first_seen: u32,
    end_seen: u32,
    top: f32, // what scores are relative to
    sum: f32, // of this thread's weights
}

// Keys (which 0) or values of KEYS positions from `key` on; from `end` on the last stands for them.
fn load_cells(which: u32, slot: u32, head: u32, key: u32, end: u32, thread: u32) -> array<vec4<u32>, CELLS> {
    var cells: array<vec4<u32>, CELLS>;
    for (var i = 0u; i < CELLS; i++) {
        let c = thread + i * THREADS;
        cells[i] = kv[kv_element(which, slot, min(key + c / (D / 8u), end - 1u), head) / 8u + c % (D / 8u)];
    }
    return cells;
}

fn put_cells(cells: array<vec4<u32>, CELLS>, thread: u32) {
    let tile = bufferView<array<vec4<u32>, KEYS * T_EIGHTS>>(&memory, T_AT);
    for (var i = 0u; i < CELLS; i++) {
        let c = thread + i * THREADS;
        tile[c / (D / 8u) * T_EIGHTS + c % (D / 8u)] = cells[i];
    }
}

// A matrix's elements of 16 rows and 16 columns of q, from f32 to f16, to columns 16 `side` of the weights.
fn put_query(m: u32, row: u32, head: u32, column: u32, side: u32, half: u32) {
    let weights = bufferView<array<vec4<u32>, M * P_EIGHTS>>(&memory, P_AT);
    let origin = ((row * HEADS + head) * D + column + 8u * half) / 4u;
    let a = q[origin];
    let b = q[origin + 1u];
    weights[m * P_EIGHTS + 2u * side + half] =
        vec4<u32>(pack2x16float(a.xy), pack2x16float(a.zw), pack2x16float(b.xy), pack2x16float(b.zw));
}

// The largest score among this thread's keys that the row sees.
fn largest(m: u32, half: u32, position: u32, row: Row) -> f32 {
    let scores = bufferView<array<vec4<f32>, M * S_FOURS>>(&memory, 0u);
    var top = NOTHING;
    for (var i = 0u; i < HALF / 4u; i++) {
        let s = seen(scores[m * S_FOURS + half * HALF / 4u + i], position + 4u * i, row);
        top = max(top, max(max(s.x, s.y), max(s.z, s.w)));
    }
    return max(top, subgroupShuffleXor(top, 1u));
}

fn seen(scores: vec4<f32>, position: u32, row: Row) -> vec4<f32> {
    let at = vec4<u32>(position) + vec4<u32>(0u, 1u, 2u, 3u);
    return select(vec4<f32>(NOTHING), score_of(scores), (at >= vec4<u32>(row.first_seen)) & (at < vec4<u32>(row.end_seen)));
}

// Scores to weights, as f16; returns the sum of this thread's.
fn weigh(m: u32, half: u32, position: u32, row: Row) -> f32 {
    let scores = bufferView<array<vec4<f32>, M * S_FOURS>>(&memory, 0u);
    let weights = bufferView<array<vec4<u32>, M * P_EIGHTS>>(&memory, P_AT);
    var sum = vec4<f32>(0.0);
    for (var i = 0u; i < HALF / 8u; i++) {
        let at = m * S_FOURS + half * HALF / 4u + 2u * i;
        let a = exp(seen(scores[at], position + 8u * i, row) - row.top);
        let b = exp(seen(scores[at + 1u], position + 8u * i + 4u, row) - row.top);
        sum += a + b;
        weights[m * P_EIGHTS + half * HALF / 8u + i] =
            vec4<u32>(pack2x16float(a.xy), pack2x16float(a.zw), pack2x16float(b.xy), pack2x16float(b.zw));
    }
    return sum.x + sum.y + sum.z + sum.w;
}

// A matrix of 16 rows times their factors.
fn rescaled(sum: Sum, s0: u32, m: u32, half: u32) -> Sum {
    let values = bufferView<array<f32, 4u * M * S_FOURS>>(&memory, 0u);
    workgroupBarrier();
    subgroupMatrixStore<row_major>(values, s0, sum, 4u * S_FOURS);
    workgroupBarrier();
    for (var i = 0u; i < 8u; i++) { values[m * 4u * S_FOURS + 8u * half + i] *= factors[m]; }
    workgroupBarrier();
    return subgroupMatrixLoad<Sum, row_major>(values, s0, 4u * S_FOURS);
}

// Columns 32 i to 32 i + 31 of a row's results, divided by the sum of its weights and quantised: its two threads share a scale.
fn finish(left: Sum, right: Sum, i: u32, s0: u32, m: u32, half: u32, row: u32, head: u32, total: f32, is_there: bool) {
    let values = bufferView<array<f32, 4u * M * S_FOURS>>(&memory, 0u);
    let fours = bufferView<array<vec4<f32>, M * S_FOURS>>(&memory, 0u);
    workgroupBarrier();
    subgroupMatrixStore<row_major>(values, s0, left, 4u * S_FOURS);
    subgroupMatrixStore<row_major>(values, s0 + 16u, right, 4u * S_FOURS);
    workgroupBarrier();
    let at = m * S_FOURS + 4u * half;
    let v = array<vec4<f32>, 4>(fours[at] / total, fours[at + 1u] / total, fours[at + 2u] / total, fours[at + 3u] / total);
    let mine = largest16(v);
    let top = max(mine, subgroupShuffleXor(mine, 1u));
    if (is_there) {
        let group = (row * HEADS + head) * (D / 32u) + i;
        xq[2u * group + half] = int8_of16(v, select(0.0, 127.0 / top, top > 0.0));
        if (half == 0u) { xd[group] = top / 127.0; }
    }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32, @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32) {
    let head = group.x;
    let row0 = (groups.y - 1u - group.y) * M;
    if (row0 >= inputs[0]) { return; }
    let rows = min(M, inputs[0] - row0);
    let m0 = 16u * subgroup;
    let m = m0 + lane / 2u;
    let half = lane % 2u;
    let row = row0 + min(m, rows - 1u);
    let weights = bufferView<array<f16, 8u * M * P_EIGHTS>>(&memory, P_AT);
    let scores = bufferView<array<f32, 4u * M * S_FOURS>>(&memory, 0u);
    let tile = bufferView<array<f16, 8u * KEYS * T_EIGHTS>>(&memory, T_AT);
    let p0 = m0 * 8u * P_EIGHTS;
    let s0 = m0 * 4u * S_FOURS;
    if (thread == 0u) { outgrown = 0u; }
    put_query(m, row, head, 0u, 0u, half);
    workgroupBarrier();
    let q0 = subgroupMatrixLoad<Left, row_major>(weights, p0, 8u * P_EIGHTS);
    put_query(m, row, head, 16u, 1u, half);
    workgroupBarrier();
    let q1 = subgroupMatrixLoad<Left, row_major>(weights, p0 + 16u, 8u * P_EIGHTS);
    put_query(m, row, head, 32u, 0u, half);
    workgroupBarrier();
    let q2 = subgroupMatrixLoad<Left, row_major>(weights, p0, 8u * P_EIGHTS);
    put_query(m, row, head, 48u, 1u, half);
    workgroupBarrier();
    let q3 = subgroupMatrixLoad<Left, row_major>(weights, p0 + 16u, 8u * P_EIGHTS);
    var q4: Left;
    var q5: Left;
    var q6: Left;
    var q7: Left;
    if (D == 128u) {
        put_query(m, row, head, 64u, 0u, half);
        workgroupBarrier();
        q4 = subgroupMatrixLoad<Left, row_major>(weights, p0, 8u * P_EIGHTS);
        put_query(m, row, head, 80u, 1u, half);
        workgroupBarrier();
        q5 = subgroupMatrixLoad<Left, row_major>(weights, p0 + 16u, 8u * P_EIGHTS);
        put_query(m, row, head, 96u, 0u, half);
        workgroupBarrier();
        q6 = subgroupMatrixLoad<Left, row_major>(weights, p0, 8u * P_EIGHTS);
        put_query(m, row, head, 112u, 1u, half);
        workgroupBarrier();
        q7 = subgroupMatrixLoad<Left, row_major>(weights, p0 + 16u, 8u * P_EIGHTS);
    }
    var o0: Sum;
    var o1: Sum;
    var o2: Sum;
    var o3: Sum;
    var o4: Sum;
    var o5: Sum;
    var o6: Sum;
    var o7: Sum;
    var own = Row(0u, 0u, LEAST, 0.0);
    var first = 0u;
    while (first < rows) {
        let segment = segment_from(row0, first, rows);
        let slot = segment.slot;
        let last = segment.last;
        let start = segment.start / 16u * 16u;
        let end = segment.end;
        own.end_seen = select(0u, reach_of(row) + 1u, m >= first && m < last);
        own.first_seen = window_start(position_of(row) + 1u);
        var cells = load_cells(0u, slot, head / GROUP, start, end, thread);
        for (var key = start; key < end; key += KEYS) {
            put_cells(cells, thread);
            workgroupBarrier();
            cells = load_cells(1u, slot, head / GROUP, key, end, thread);
            for (var b = 0u; b < BLOCKS; b++) {
                let at = 128u * b * T_EIGHTS;
                var s = Sum();
                s = subgroupMatrixMultiplyAccumulate(q0, subgroupMatrixLoad<Right, col_major>(tile, at, 8u * T_EIGHTS), s);
                s = subgroupMatrixMultiplyAccumulate(q1, subgroupMatrixLoad<Right, col_major>(tile, at + 16u, 8u * T_EIGHTS), s);
                s = subgroupMatrixMultiplyAccumulate(q2, subgroupMatrixLoad<Right, col_major>(tile, at + 32u, 8u * T_EIGHTS), s);
                s = subgroupMatrixMultiplyAccumulate(q3, subgroupMatrixLoad<Right, col_major>(tile, at + 48u, 8u * T_EIGHTS), s);
                if (D == 128u) {
                    s = subgroupMatrixMultiplyAccumulate(q4, subgroupMatrixLoad<Right, col_major>(tile, at + 64u, 8u * T_EIGHTS), s);
                    s = subgroupMatrixMultiplyAccumulate(q5, subgroupMatrixLoad<Right, col_major>(tile, at + 80u, 8u * T_EIGHTS), s);
                    s = subgroupMatrixMultiplyAccumulate(q6, subgroupMatrixLoad<Right, col_major>(tile, at + 96u, 8u * T_EIGHTS), s);
                    s = subgroupMatrixMultiplyAccumulate(q7, subgroupMatrixLoad<Right, col_major>(tile, at + 112u, 8u * T_EIGHTS), s);
                }
                subgroupMatrixStore<row_major>(scores, s0 + 16u * b, s, 4u * S_FOURS);
            }
            workgroupBarrier();
            put_cells(cells, thread);
            cells = load_cells(0u, slot, head / GROUP, min(key + KEYS, end - 1u), end, thread);
            let position = key + half * HALF;
            let top = largest(m, half, position, own);
            var factor = 1.0;
            if (top > own.top + SLACK) {
                factor = exp(own.top - top);
                if (own.sum > 0.0) { outgrown = 1u; }
                own.top = top;
                own.sum *= factor;
            }
            factors[m] = factor;
            own.sum += weigh(m, half, position, own);
            if (workgroupUniformLoad(&outgrown) > 0u) {
                o0 = rescaled(o0, s0, m, half);
                o1 = rescaled(o1, s0, m, half);
                o2 = rescaled(o2, s0, m, half);
                o3 = rescaled(o3, s0, m, half);
                if (D == 128u) {
                    o4 = rescaled(o4, s0, m, half);
                    o5 = rescaled(o5, s0, m, half);
                    o6 = rescaled(o6, s0, m, half);
                    o7 = rescaled(o7, s0, m, half);
                }
                outgrown = 0u;
                workgroupBarrier();
            }
            for (var b = 0u; b < BLOCKS; b++) {
                let at = 128u * b * T_EIGHTS;
                let p = subgroupMatrixLoad<Left, row_major>(weights, p0 + 16u * b, 8u * P_EIGHTS);
                o0 = subgroupMatrixMultiplyAccumulate(p, subgroupMatrixLoad<Right, row_major>(tile, at, 8u * T_EIGHTS), o0);
                o1 = subgroupMatrixMultiplyAccumulate(p, subgroupMatrixLoad<Right, row_major>(tile, at + 16u, 8u * T_EIGHTS), o1);
                o2 = subgroupMatrixMultiplyAccumulate(p, subgroupMatrixLoad<Right, row_major>(tile, at + 32u, 8u * T_EIGHTS), o2);
                o3 = subgroupMatrixMultiplyAccumulate(p, subgroupMatrixLoad<Right, row_major>(tile, at + 48u, 8u * T_EIGHTS), o3);
                if (D == 128u) {
                    o4 = subgroupMatrixMultiplyAccumulate(p, subgroupMatrixLoad<Right, row_major>(tile, at + 64u, 8u * T_EIGHTS), o4);
                    o5 = subgroupMatrixMultiplyAccumulate(p, subgroupMatrixLoad<Right, row_major>(tile, at + 80u, 8u * T_EIGHTS), o5);
                    o6 = subgroupMatrixMultiplyAccumulate(p, subgroupMatrixLoad<Right, row_major>(tile, at + 96u, 8u * T_EIGHTS), o6);
                    o7 = subgroupMatrixMultiplyAccumulate(p, subgroupMatrixLoad<Right, row_major>(tile, at + 112u, 8u * T_EIGHTS), o7);
                }
            }
            workgroupBarrier();
        }
        first = last;
    }
    let total = own.sum + subgroupShuffleXor(own.sum, 1u);
    let is_there = m < rows;
    finish(o0, o1, 0u, s0, m, half, row, head, total, is_there);
    finish(o2, o3, 1u, s0, m, half, row, head, total, is_there);
    if (D == 128u) {
        finish(o4, o5, 2u, s0, m, half, row, head, total, is_there);
        finish(o6, o7, 3u, s0, m, half, row, head, total, is_there);
    }
}
