// COLUMNS columns of one head's S, along the rows of one run, ROWS of them at a time; LANES threads to a column, each with EACH fours
// of its elements. The sums that rows need over a column are S^T k and S^T q of S as it was before them, and the products of their
// keys and queries with each other: all else follows from them. See delta.py.
const WORKGROUP = COLUMNS * LANES;
const EACH = (KEY_DIM + 4u * LANES - 1u) / (4u * LANES);
const FOURS = EACH * LANES; // of k, and of q, padded with zeros
const PAIRS = 2u * FOURS * ROWS;
const LOADS = (PAIRS + WORKGROUP - 1u) / WORKGROUP;
const BLOCKS = (VALUE_DIM + COLUMNS - 1u) / COLUMNS;
// Of rows i and j: k_i k_j at i * ROWS + j, or q_j k_i where j > i; behind them q_i k_i, then q_i q_i.
const PRODUCTS = ROWS * ROWS + 2u * ROWS;

var<workgroup> pairs: array<vec4<f32>, 2u * PAIRS>; // each row's k, then its q; of these rows and of the next in turn
var<workgroup> sums: array<vec2<f32>, ROWS * WORKGROUP>;
var<workgroup> parts: array<f32, PRODUCTS * LANES>;
var<workgroup> products: array<f32, PRODUCTS>;
var<workgroup> rates: array<vec2<f32>, ROWS>; // decay, beta

// The n-th four of the pairs of rows from `first` on; zeros behind the run.
fn pair_of(first: u32, end: u32, key_head: u32, n: u32) -> vec4<f32> {
    let row = first + n / (2u * FOURS);
    let four = n % (2u * FOURS);
    if (row >= end) { return vec4<f32>(0.0); }
    let is_query = four >= FOURS;
    let at = 4u * select(four, four - FOURS, is_query);
    let start = row * X_STRIDE + X_OFFSET + (select(KEY_HEADS, 0u, is_query) + key_head) * KEY_DIM;
    return vec4<f32>(element(start, at), element(start, at + 1u), element(start, at + 2u), element(start, at + 3u));
}

fn element(start: u32, i: u32) -> f32 {
    if (i >= KEY_DIM) { return 0.0; }
    return x[start + i];
}

// Element i of a column of S that lies at `kept`.
fn kept_of(kept: u32, i: u32) -> f32 {
    if (i >= KEY_DIM) { return 0.0; }
    return state[kept + i * VALUE_DIM];
}

fn keep(kept: u32, i: u32, value: f32) {
    if (i < KEY_DIM) { state[kept + i * VALUE_DIM] = value; }
}

fn value_of(row: u32, end: u32, head: u32, column: u32) -> f32 {
    if (row >= end) { return 0.0; }
    return x[row * X_STRIDE + X_OFFSET + 2u * KEY_HEADS * KEY_DIM + head * VALUE_DIM + column];
}

// Decay and beta: of no row, those that change nothing.
fn rates_of(row: u32, end: u32, head: u32) -> vec2<f32> {
    if (row >= end) { return vec2<f32>(1.0, 0.0); }
    let fade = decay(decays[row * DECAY_STRIDE + DECAY_OFFSET + head], decay_extras_of(row, head));
    return vec2<f32>(fade, beta(betas[row * BETA_STRIDE + BETA_OFFSET + head], beta_extras_of(row, head)));
}

// A lane's part of the n-th product.
fn part_of(at: u32, n: u32, lane: u32) -> f32 {
    let i = select((n - ROWS * ROWS) % ROWS, n / ROWS, n < ROWS * ROWS);
    let j = select(i, n % ROWS, n < ROWS * ROWS);
    let is_query = n >= ROWS * ROWS || j > i;
    let left = at + 2u * FOURS * j + select(0u, FOURS, is_query) + lane * EACH;
    let right = at + 2u * FOURS * i + select(0u, FOURS, n >= ROWS * ROWS + ROWS) + lane * EACH;
    var sum = 0.0;
    for (var m = 0u; m < EACH; m++) { sum += dot(pairs[left + m], pairs[right + m]); }
    return sum;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    var begin = 0u;
    for (var i = 0u; i < group.y; i++) { if (begin < inputs[0]) { begin = end_of_run(begin); } }
    if (begin >= inputs[0]) { return; }
    let end = end_of_run(begin);
    let slot = slot_of(begin);
    let head = group.x / BLOCKS;
    let key_head = select(head / (HEADS / KEY_HEADS), head % KEY_HEADS, IS_DEALT);
    let lane = thread / COLUMNS;
    let column = (group.x % BLOCKS) * COLUMNS + thread % COLUMNS;
    let is_inside = column < VALUE_DIM;
    let place = min(column, VALUE_DIM - 1u);
    let kept = (slot * HEADS + head) * KEY_DIM * VALUE_DIM + place;
    let goes_on = position_of(begin) > 0u;

    var held: array<vec4<f32>, EACH>;
    for (var m = 0u; m < EACH; m++) {
        held[m] = vec4<f32>(0.0);
        if (goes_on) {
            let i = 4u * (lane * EACH + m);
            held[m] = vec4<f32>(kept_of(kept, i), kept_of(kept, i + 1u), kept_of(kept, i + 2u), kept_of(kept, i + 3u));
        }
    }
    for (var n = thread; n < PAIRS; n += WORKGROUP) { pairs[n] = pair_of(begin, end, key_head, n); }
    var v: array<f32, ROWS>;
    for (var i = 0u; i < ROWS; i++) { v[i] = value_of(begin + i, end, head, place); }
    var at = 0u;

    for (var first = begin; first < end; first += ROWS) {
        let next = first + ROWS; // and its rows are on their way while these are computed
        var coming: array<vec4<f32>, LOADS>;
        for (var j = 0u; j < LOADS; j++) {
            let n = j * WORKGROUP + thread;
            if (n < PAIRS) { coming[j] = pair_of(next, end, key_head, n); }
        }
        var next_v: array<f32, ROWS>;
        for (var i = 0u; i < ROWS; i++) { next_v[i] = value_of(next + i, end, head, place); }
        workgroupBarrier();

        for (var i = 0u; i < ROWS; i++) {
            var sum = vec2<f32>(0.0);
            for (var m = 0u; m < EACH; m++) {
                let n = at + 2u * FOURS * i + lane * EACH + m;
                sum += vec2<f32>(dot(held[m], pairs[n]), dot(held[m], pairs[n + FOURS]));
            }
            sums[i * WORKGROUP + thread] = sum;
        }
        if (thread < ROWS) { rates[thread] = rates_of(first + thread, end, head); }
        for (var n = thread % COLUMNS; n < PRODUCTS; n += COLUMNS) { parts[n * LANES + lane] = part_of(at, n, lane); }
        for (var j = 0u; j < LOADS; j++) {
            let n = j * WORKGROUP + thread;
            if (n < PAIRS) { pairs[PAIRS - at + n] = coming[j]; }
        }
        workgroupBarrier();
        for (var n = thread; n < PRODUCTS; n += WORKGROUP) {
            var product = 0.0;
            for (var l = 0u; l < LANES; l++) { product += parts[n * LANES + l]; }
            products[n] = product;
        }
        workgroupBarrier();

        // changes[j]: what row j adds to S along its key, as much as is left of it at row i.
        var changes: array<f32, ROWS>;
        var left = 1.0; // of S as it was
        for (var i = 0u; i < ROWS; i++) {
            var total = vec2<f32>(0.0);
            for (var l = 0u; l < LANES; l++) { total += sums[i * WORKGROUP + l * COLUMNS + thread % COLUMNS]; }
            left *= rates[i].x;
            var known = left * total.x; // S^T k
            var asked = left * total.y; // S^T q
            for (var j = 0u; j < i; j++) {
                changes[j] *= rates[i].x;
                known += changes[j] * products[i * ROWS + j];
                asked += changes[j] * products[j * ROWS + i];
            }
            let per_key = inverseSqrt(products[i * ROWS + i] + EPS);
            changes[i] = rates[i].y * (v[i] - per_key * known) * per_key;
            asked += changes[i] * products[ROWS * ROWS + i];
            let per_query = inverseSqrt(products[ROWS * ROWS + ROWS + i] + EPS) * SCALE;
            if (lane == 0u && is_inside && first + i < end) { y[(first + i) * Y_STRIDE + head * VALUE_DIM + column] = per_query * asked; }
        }
        for (var m = 0u; m < EACH; m++) {
            var sum = left * held[m];
            for (var i = 0u; i < ROWS; i++) { sum += changes[i] * pairs[at + 2u * FOURS * i + lane * EACH + m]; }
            held[m] = sum;
        }
        v = next_v;
        at = PAIRS - at;
    }

    if (is_inside) {
        for (var m = 0u; m < EACH; m++) {
            let i = 4u * (lane * EACH + m);
            keep(kept, i, held[m].x);
            keep(kept, i + 1u, held[m].y);
            keep(kept, i + 2u, held[m].z);
            keep(kept, i + 3u, held[m].w);
        }
    }
}
