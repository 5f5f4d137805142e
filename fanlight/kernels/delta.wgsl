// COLUMNS columns of one head's S, along the rows of one run; LANES threads to a column, each with EACH fours of its elements.
// The sums that a row needs over a column are S^T k and S^T q of S as it was: all else follows from them. See delta.py.
const WORKGROUP = COLUMNS * LANES;
const EACH = (KEY_DIM + 4u * LANES - 1u) / (4u * LANES);
const FOURS = EACH * LANES; // of k, and of q, padded with zeros
const LOADS = (2u * FOURS + WORKGROUP - 1u) / WORKGROUP;
const BLOCKS = (VALUE_DIM + COLUMNS - 1u) / COLUMNS;

var<workgroup> pairs: array<vec4<f32>, 4u * FOURS>; // k, then q, of this row and of the next in turn
var<workgroup> sums: array<vec2<f32>, 2u * WORKGROUP>;
var<workgroup> products: array<vec4<f32>, 2u * LANES>; // k k, q q, k q

// Four elements of a row's k, then of its q.
fn pair_of(row: u32, key_head: u32, n: u32) -> vec4<f32> {
    let is_query = n >= FOURS;
    let first = 4u * select(n, n - FOURS, is_query);
    let start = row * X_STRIDE + X_OFFSET + (select(KEY_HEADS, 0u, is_query) + key_head) * KEY_DIM;
    return vec4<f32>(element(start, first), element(start, first + 1u), element(start, first + 2u), element(start, first + 3u));
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

fn value_of(row: u32, head: u32, column: u32) -> f32 {
    return x[row * X_STRIDE + X_OFFSET + 2u * KEY_HEADS * KEY_DIM + head * VALUE_DIM + column];
}

fn decay_of(row: u32, head: u32) -> f32 {
    return decay(decays[row * DECAY_STRIDE + DECAY_OFFSET + head], decay_extras_of(row, head));
}

fn beta_of(row: u32, head: u32) -> f32 {
    return beta(betas[row * BETA_STRIDE + BETA_OFFSET + head], beta_extras_of(row, head));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    var first = 0u;
    for (var i = 0u; i < group.y; i++) { if (first < inputs[0]) { first = end_of_run(first); } }
    if (first >= inputs[0]) { return; }
    let end = end_of_run(first);
    let slot = slot_of(first);
    let head = group.x / BLOCKS;
    let key_head = select(head / (HEADS / KEY_HEADS), head % KEY_HEADS, IS_DEALT);
    let lane = thread / COLUMNS;
    let column = (group.x % BLOCKS) * COLUMNS + thread % COLUMNS;
    let is_inside = column < VALUE_DIM;
    let place = min(column, VALUE_DIM - 1u);
    let kept = (slot * HEADS + head) * KEY_DIM * VALUE_DIM + place;

    let goes_on = position_of(first) > 0u;

    var held: array<vec4<f32>, EACH>;
    for (var m = 0u; m < EACH; m++) {
        held[m] = vec4<f32>(0.0);
        if (goes_on) {
            let i = 4u * (lane * EACH + m);
            held[m] = vec4<f32>(kept_of(kept, i), kept_of(kept, i + 1u), kept_of(kept, i + 2u), kept_of(kept, i + 3u));
        }
    }
    for (var n = thread; n < 2u * FOURS; n += WORKGROUP) { pairs[n] = pair_of(first, key_head, n); }
    var v = value_of(first, head, place);
    var g = decay_of(first, head);
    var b = beta_of(first, head);
    var side = 0u;
    workgroupBarrier();

    for (var row = first; row < end; row++) {
        let next = min(row + 1u, end - 1u); // is on its way while this row is computed
        var coming: array<vec4<f32>, LOADS>;
        for (var j = 0u; j < LOADS; j++) {
            let n = j * WORKGROUP + thread;
            if (n < 2u * FOURS) { coming[j] = pair_of(next, key_head, n); }
        }
        let next_v = value_of(next, head, place);
        let next_g = decay_of(next, head);
        let next_b = beta_of(next, head);

        var key: array<vec4<f32>, EACH>;
        var sum = vec2<f32>(0.0);
        var product = vec3<f32>(0.0);
        for (var m = 0u; m < EACH; m++) {
            let n = side * 2u * FOURS + lane * EACH + m;
            let k = pairs[n];
            let q = pairs[n + FOURS];
            key[m] = k;
            sum += vec2<f32>(dot(held[m], k), dot(held[m], q));
            product += vec3<f32>(dot(k, k), dot(q, q), dot(k, q));
        }
        sums[side * WORKGROUP + thread] = sum;
        if (thread % COLUMNS == 0u) { products[side * LANES + lane] = vec4<f32>(product, 0.0); }
        for (var j = 0u; j < LOADS; j++) {
            let n = j * WORKGROUP + thread;
            if (n < 2u * FOURS) { pairs[(1u - side) * 2u * FOURS + n] = coming[j]; }
        }
        workgroupBarrier();

        var total = vec2<f32>(0.0);
        var whole = vec3<f32>(0.0);
        for (var l = 0u; l < LANES; l++) {
            total += sums[side * WORKGROUP + l * COLUMNS + thread % COLUMNS];
            whole += products[side * LANES + l].xyz;
        }
        let per_key = inverseSqrt(whole.x + EPS);
        let per_query = inverseSqrt(whole.y + EPS) * SCALE;
        let change = b * (v - g * per_key * total.x) * per_key;
        if (lane == 0u && is_inside) {
            y[row * Y_STRIDE + head * VALUE_DIM + column] = per_query * (g * total.y + whole.z * change);
        }
        for (var m = 0u; m < EACH; m++) { held[m] = g * held[m] + key[m] * change; }
        v = next_v;
        g = next_g;
        b = next_b;
        side = 1u - side;
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
