const GROUP = HEADS / KV_HEADS;
const PARTS = GROUP / SUB;  // workgroups that share a key head
const M = R * SUB;  // queries of a workgroup
const D4 = D / 4u;
const V4 = DV / 4u;
const HALF_M = (M + 1u) / 2u;
const ITEMS = (M * V4 + WORKGROUP - 1u) / WORKGROUP;  // vec4 of the result that a thread keeps
const LANES = WORKGROUP / 16u;  // threads per query when a tile's maximum and sum are taken
const NOTHING = -1e30;

var<workgroup> qs: array<vec4<f32>, M * D4>;
var<workgroup> scores: array<f32, M * TILE>;
var<workgroup> keys_at: array<u32, TILE>;
var<workgroup> values_at: array<u32, TILE>;
var<workgroup> row_max: array<f32, 16>;
var<workgroup> row_sum: array<f32, 16>;
var<workgroup> row_scale: array<f32, 16>;
var<workgroup> partial: array<f32, WORKGROUP>;

// Scores of positions [tile, stop) for this thread's half of the queries; what a query may not see stays NOTHING.
fn score(thread: u32, row0: u32, head0: u32, first: u32, last: u32, tile: u32, stop: u32) {
    let p = thread % TILE;
    let odd = thread / TILE;
    let position = tile + p;
    var dots: array<f32, HALF_M>;
    if (position < stop) {
        for (var d = 0u; d < D4; d++) {
            let key = kv4(keys_at[p] + 4u * d);
            for (var i = 0u; i < HALF_M; i++) {
                let m = min(2u * i + odd, M - 1u);
                dots[i] += dot(key, qs[m * D4 + d]);
            }
        }
    }
    for (var i = 0u; i < HALF_M; i++) {
        let m = 2u * i + odd;
        if (m < M) {
            let r = m / SUB;
            let row = min(row0 + r, inputs[0] - 1u);
            let own = position_of(row);
            var sees = position < stop && r >= first && r < last && position <= reach_of(row);
            if (WINDOW > 0u) { sees = sees && position + WINDOW > own; }
            scores[m * TILE + p] = select(NOTHING, score_of(dots[i], slope_of(head0 + m % SUB), f32(position), f32(own)), sees);
        }
    }
}

// Turns a tile's scores into weights relative to the new running maximum; row_scale is what earlier results must be multiplied by.
fn soften(thread: u32) {
    let m = thread / LANES;
    let lane = thread % LANES;
    var top = NOTHING;
    if (m < M) {
        for (var p = lane; p < TILE; p += LANES) { top = max(top, scores[m * TILE + p]); }
    }
    partial[thread] = top;
    workgroupBarrier();
    var sum = 0.0;
    if (m < M) {
        top = row_max[m];
        for (var i = 0u; i < LANES; i++) { top = max(top, partial[m * LANES + i]); }
        for (var p = lane; p < TILE; p += LANES) {
            let s = scores[m * TILE + p];
            let weight = select(0.0, exp(s - top), s > NOTHING);
            scores[m * TILE + p] = weight;
            sum += weight;
        }
    }
    workgroupBarrier();
    partial[thread] = sum;
    workgroupBarrier();
    if (m < M && lane == 0u) {
        var total = 0.0;
        for (var i = 0u; i < LANES; i++) { total += partial[m * LANES + i]; }
        let scale = exp(row_max[m] - top);
        row_scale[m] = scale;
        row_sum[m] = row_sum[m] * scale + total;
        row_max[m] = top;
    }
    workgroupBarrier();
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let kv_head = group.x / PARTS % KV_HEADS;
    let head0 = kv_head * GROUP + group.x % PARTS * SUB;
    let split = group.x / (PARTS * KV_HEADS);
    let row0 = group.y * R;
    if (row0 >= inputs[0]) { return; }
    for (var i = thread; i < M * D4; i += WORKGROUP) {
        let m = i / D4;
        let row = min(row0 + m / SUB, inputs[0] - 1u);
        qs[i] = q[(row * HEADS + head0 + m % SUB) * D4 + i % D4];
    }
    if (thread < M) {
        row_max[thread] = sink_of(head0 + thread % SUB);
        row_sum[thread] = SINK_WEIGHT;
    }
    var acc: array<vec4<f32>, ITEMS>;
    let rows = min(R, inputs[0] - row0);
    var first = 0u;
    while (first < rows) {
        let segment = segment_from(row0, first, rows);
        let slot = segment.slot;
        let last = segment.last;
        let start = segment.start;
        let end = segment.end;
        let per = ((end - start + SPLITS - 1u) / SPLITS + TILE - 1u) / TILE * TILE;
        let stop = min(end, start + (split + 1u) * per);
        for (var tile = start + split * per; tile < stop; tile += TILE) {
            workgroupBarrier();
            if (thread < TILE) {
                let position = min(tile + thread, end - 1u);
                keys_at[thread] = kv_element(0u, slot, position, kv_head);
                values_at[thread] = kv_element(1u, slot, position, kv_head);
            }
            workgroupBarrier();
            score(thread, row0, head0, first, last, tile, stop);
            workgroupBarrier();
            soften(thread);
            for (var k = 0u; k < ITEMS; k++) {
                let item = min(thread + k * WORKGROUP, M * V4 - 1u);
                let m = item / V4;
                let d = 4u * (item % V4);
                var sum = acc[k] * row_scale[m];
                // Positions past the end weigh 0 and stand for the last one, so that loads of a fixed number can be in flight.
                for (var p = 0u; p < TILE; p += 8u) {
                    let s = m * TILE + p;
                    let v0 = kv4(values_at[p] + d);
                    let v1 = kv4(values_at[p + 1u] + d);
                    let v2 = kv4(values_at[p + 2u] + d);
                    let v3 = kv4(values_at[p + 3u] + d);
                    let v4 = kv4(values_at[p + 4u] + d);
                    let v5 = kv4(values_at[p + 5u] + d);
                    let v6 = kv4(values_at[p + 6u] + d);
                    let v7 = kv4(values_at[p + 7u] + d);
                    sum += scores[s] * v0 + scores[s + 1u] * v1 + scores[s + 2u] * v2 + scores[s + 3u] * v3;
                    sum += scores[s + 4u] * v4 + scores[s + 5u] * v5 + scores[s + 6u] * v6 + scores[s + 7u] * v7;
                }
                acc[k] = sum;
            }
        }
        first = last;
    }
    workgroupBarrier();
    for (var k = 0u; k < ITEMS; k++) {
        let item = thread + k * WORKGROUP;
        let m = item / V4;
        if (item < M * V4 && m / SUB < rows) {
            let head = (row0 + m / SUB) * HEADS + head0 + m % SUB;
            if (SPLITS == 1u) {
                y[head * V4 + item % V4] = acc[k] / row_sum[m];
            } else {
                y[(head * SPLITS + split) * V4 + item % V4] = acc[k];
                if (item % V4 == 0u) { state[head * SPLITS + split] = vec2<f32>(row_max[m], row_sum[m]); }
            }
        }
    }
}
