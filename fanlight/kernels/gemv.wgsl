// y[c, r] = sum_k W[r, k] x[c, k] for a few columns c (rows of the step). See gemv.py.

var<workgroup> xs: array<vec4<f32>, COLS * CHUNK * 8u>;
var<workgroup> xsum: array<f32, COLS * CHUNK * 2u>;
var<workgroup> partial: array<vec2<f32>, WORKGROUP * COLS>;
var<workgroup> squares: array<f32, COLS * 16u>;

// Of `count` that take turns over all of a row, where `who` begins in a part that starts at `first`: whose turn is whose does
// not depend on the parts.
fn own(first: u32, who: u32, count: u32) -> u32 { return (who + count - first % count) % count; }

// Stages columns' elements [chunk, chunk + CHUNK groups): half a group a turn. Group g's j-th vec4 of column c goes to
// (c * 8 + j) * CHUNK + g, so that neighbouring lanes read neighbouring vec4. Returns this thread's share of each column's sum of squares.
fn stage(chunk: u32, thread: u32, ss: ptr<function, array<f32, COLS>>) {
    for (var c = 0u; c < COLS; c++) {
        let row = x_row(c);
        var sum_squares = 0.0;
        for (var i = own(chunk * 2u, thread, WORKGROUP); i < CHUNK * 2u; i += WORKGROUP) {
            let g = i / 2u;
            let half = i % 2u;
            let k = (chunk + g) * 32u + half * 16u;
            var total = 0.0;
            for (var j = 0u; j < 4u; j++) {
                let at = k + j * 4u;
                let raw = x4(row, at);
                if (NORMALIZE) { sum_squares += dot(raw, raw); }
                var v = prologue(raw, factors_of(row, at)) * share_of(at);
                if (K % 32u != 0u) { v = select(vec4<f32>(0.0), v, vec4<u32>(at, at + 1u, at + 2u, at + 3u) < vec4<u32>(K)); }
                xs[(c * 8u + half * 4u + j) * CHUNK + g] = v;
                total += v.x + v.y + v.z + v.w;
            }
            xsum[(c * 2u + half) * CHUNK + g] = total;
        }
        (*ss)[c] += sum_squares;
    }
}

// Sixteen partial sums of squares a column, in `squares`.
fn reduce_squares(thread: u32, ss: ptr<function, array<f32, COLS>>) {
    for (var c = 0u; c < COLS; c++) { partial[c * WORKGROUP + thread].x = (*ss)[c]; }
    workgroupBarrier();
    for (var i = thread; i < COLS * 16u; i += WORKGROUP) {
        var total = 0.0;
        for (var j = 0u; j < WORKGROUP / 16u; j++) { total += partial[(i / 16u) * WORKGROUP + j * 16u + i % 16u].x; }
        squares[i] = total;
    }
    workgroupBarrier();
}

fn scale_of(column: u32) -> f32 {
    if (!NORMALIZE) { return 1.0; }
    var total = 0.0;
    for (var i = 0u; i < 16u; i++) { total += squares[column * 16u + i]; }
    return inverseSqrt(total / f32(K) + EPS);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let lane = thread % LANES;
    if (!begin(group, thread)) { return; }
    let first = (group.x + group.y * GRID_X) * (WORKGROUP / LANES);
    let pair = first + thread / LANES;
    let row0 = row_of(pair, 0u);
    let row1 = row_of(pair, 1u);
    var acc: array<vec2<f32>, COLS>;
    var ss: array<f32, COLS>;
    for (var chunk = 0u; chunk < GROUPS; chunk += CHUNK) {
        stage(chunk, thread, &ss);
        workgroupBarrier();
        for (var g = own(chunk, lane, LANES); g < min(CHUNK, GROUPS - chunk); g += LANES) {
            let w0 = unpack(weight_group(row0, chunk + g));
            let w1 = unpack(weight_group(row1, chunk + g));
            for (var c = 0u; c < COLS; c++) {
                let base = c * 8u * CHUNK + g;
                let sums = c * 2u * CHUNK + g;
                acc[c] += vec2<f32>(dot_group(w0, base, sums), dot_group(w1, base, sums));
            }
        }
        workgroupBarrier();
    }
    if (NORMALIZE) { reduce_squares(thread, &ss); }
    for (var c = 0u; c < COLS; c++) { partial[c * WORKGROUP + thread] = acc[c]; }
    workgroupBarrier();
    for (var i = thread; i < COLS * (WORKGROUP / LANES); i += WORKGROUP) {
        let column = i / (WORKGROUP / LANES);
        let local = i % (WORKGROUP / LANES);
        var total = vec2<f32>(0.0);
        for (var l = 0u; l < LANES; l++) { total += partial[column * WORKGROUP + local * LANES + l]; }
        finish(first + local, column, total * scale_of(column));
    }
}
