// y[c, r] = sum_k W[r, k] x[c, k] for a few columns c, in integers: activations are quantised as they are staged. See gemv_int8.py.

const SETS = WORKGROUP / LANES;
const PAIRS_HERE = SETS * ROWS / 2u;

// Half h (16 values) of column c's group g lies at (c * 2 + h) * CHUNK + g, so that neighbouring lanes read neighbouring vec4.
var<workgroup> xq: array<vec4<u32>, COLS * CHUNK * 2u>;
var<workgroup> xd: array<vec2<f32>, COLS * CHUNK * 2u>; // (scale, scale times the sum of the half's integers)
var<workgroup> partial: array<f32, COLS * ROWS * PARTIALS>;
var<workgroup> squares: array<f32, COLS * WORKGROUP>;

fn scale_of(column: u32) -> f32 {
    if (!NORMALIZE) { return 1.0; }
    var total = 0.0;
    for (var i = 0u; i < 16u; i++) { total += squares[column * WORKGROUP + i]; }
    return inverseSqrt(total / f32(K) + EPS);
}

fn load_rows(first: u32, p: u32) -> array<Group, ROWS> {
    var w: array<Group, ROWS>;
    for (var r = 0u; r < ROWS; r++) { w[r] = unpack(row_of(first + r / 2u, r % 2u) * GROUPS + p); }
    return w;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let first = (group.x + group.y * GRID_X) * PAIRS_HERE;
    let pair = first + thread / LANES * (ROWS / 2u);
    var acc: array<f32, COLS * ROWS>;
    var p = thread % LANES;
    // The first weights are on their way while activations are staged, the next ones while these are multiplied.
    var w = load_rows(pair, min(p, GROUPS - 1u));
    for (var chunk = 0u; chunk < GROUPS; chunk += CHUNK) {
        stage(chunk, thread);
        workgroupBarrier();
        for (; p < min(chunk + CHUNK, GROUPS); p += LANES) {
            var next = w;
            if (p + LANES < GROUPS) { next = load_rows(pair, p + LANES); }
            for (var c = 0u; c < COLS; c++) {
                let a = c * 2u * CHUNK + p - chunk;
                for (var r = 0u; r < ROWS; r++) {
                    acc[c * ROWS + r] += dot_int8(w[r], xq[a], xq[a + CHUNK], xd[a], xd[a + CHUNK]);
                }
            }
            w = next;
        }
        workgroupBarrier();
    }
    for (var c = 0u; c < COLS; c++) {
        if (NORMALIZE && thread < 16u) {
            var total = 0.0;
            for (var i = thread; i < WORKGROUP; i += 16u) { total += squares[c * WORKGROUP + i]; }
            squares[c * WORKGROUP + thread] = total;
        }
        for (var r = 0u; r < ROWS; r++) { keep_lanes((c * ROWS + r) * PARTIALS, thread, acc[c * ROWS + r]); }
    }
    workgroupBarrier();
    for (var i = thread; i < COLS * PAIRS_HERE; i += WORKGROUP) {
        let column = i / PAIRS_HERE;
        let local = i % PAIRS_HERE;
        let lane_set = local * 2u / ROWS;
        let at = (column * ROWS + local * 2u % ROWS) * PARTIALS;
        let value = vec2<f32>(sum_lanes(at, lane_set, i), sum_lanes(at + PARTIALS, lane_set, i));
        finish(first + local, column, value * scale_of(column));
    }
}
