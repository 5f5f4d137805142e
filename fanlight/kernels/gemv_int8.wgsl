// y[c, r] = sum_k W[r, k] x[c, k] for a few columns c, in integers: activations are staged quantised. See gemv_int8.py.

const SETS = WORKGROUP / LANES;
const PAIRS_HERE = SETS * ROWS / 2u;
const TURNS = (GROUPS + LANES - 1u) / LANES; // groups of a row that a lane takes

// Half h (16 values) of column c's group g lies at (c * 2 + h) * CHUNK + g, so that neighbouring lanes read neighbouring vec4.
var<workgroup> xq: array<vec4<u32>, COLS * CHUNK * 2u>;
var<workgroup> xd: array<vec2<f32>, COLS * CHUNK * 2u>; // (scale, scale times the sum of the half's integers)
var<workgroup> partial: array<f32, COLS * ROWS * PARTIALS>;

struct Loaded {
    rows: array<Raw, ROWS>,
}

// A lane's turn t of its rows. Past the row's end it loads the last group again, which then counts nothing.
fn load_turn(pair: u32, lane: u32, t: u32) -> Loaded {
    let g = min(t * LANES + lane, GROUPS - 1u);
    var loaded: Loaded;
    for (var r = 0u; r < ROWS; r++) { loaded.rows[r] = raw(weight_group(row_of(pair + r / 2u, r % 2u), g)); }
    return loaded;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    if (!begin(group, thread)) { return; }
    let first = (group.x + group.y * GRID_X) * PAIRS_HERE;
    let pair = first + thread / LANES * (ROWS / 2u);
    let lane = thread % LANES;
    // The first DEPTH turns are on their way while activations are staged, and DEPTH always are while others are multiplied.
    var ahead: array<Loaded, DEPTH>;
    for (var t = 0u; t < DEPTH; t++) { ahead[t] = load_turn(pair, lane, t); }
    let is_last = thread < COLS * PAIRS_HERE;
    let column = thread / PAIRS_HERE;
    let local = thread % PAIRS_HERE;
    var early: Early;
    var acc: array<f32, COLS * ROWS>;
    var squared: array<f32, COLS>;
    for (var chunk = 0u; chunk < GROUPS; chunk += CHUNK) {
        stage(chunk, thread);
        workgroupBarrier();
        if (is_last && chunk == 0u) { early = prepare(first + local, column); } // while the first weights are under way
        let turns = select((chunk + CHUNK) / LANES, TURNS, chunk + CHUNK >= GROUPS);
        for (var t0 = chunk / LANES; t0 < turns; t0 += DEPTH) {
            for (var i = 0u; i < DEPTH; i++) {
                let t = t0 + i;
                let g = t * LANES + lane;
                let loaded = ahead[i];
                if (TURNS > DEPTH && t + DEPTH < TURNS) { ahead[i] = load_turn(pair, lane, t + DEPTH); }
                if (g < GROUPS && t < turns) {
                    for (var c = 0u; c < COLS; c++) {
                        let a = c * 2u * CHUNK + g - chunk;
                        for (var r = 0u; r < ROWS; r++) {
                            let w = unpack_raw(loaded.rows[r], weight_group(row_of(pair + r / 2u, r % 2u), g));
                            acc[c * ROWS + r] += dot_int8(w, xq[a], xq[a + CHUNK], xd[a], xd[a + CHUNK]);
                        }
                    }
                }
            }
        }
        gather_squares(chunk, thread, &squared);
        if (chunk + CHUNK < GROUPS) { workgroupBarrier(); }
    }
    for (var c = 0u; c < COLS; c++) {
        for (var r = 0u; r < ROWS; r++) { keep_lanes((c * ROWS + r) * PARTIALS, thread, acc[c * ROWS + r]); }
    }
    workgroupBarrier();
    var value = vec2<f32>(0.0);
    if (is_last) {
        let at = (column * ROWS + local * 2u % ROWS) * PARTIALS;
        let lanes = local * 2u / ROWS;
        value = scale_of(column) * vec2<f32>(sum_lanes(at, lanes), sum_lanes(at + PARTIALS, lanes));
    }
    finish(first + local, column, value, early, is_last, thread);
}
