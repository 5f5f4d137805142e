// VALUES columns of one head's S, along the rows of one run; LANES threads to a column, each with every LANES-th key. The sums that
// a row needs over a column are of S as it was: S kappa and S w r; all else follows from them and from sums of the row. See wkv.py.
const WORKGROUP = VALUES * LANES;
const EACH = (SIZE + LANES - 1u) / LANES; // keys to a thread
const PADDED = EACH * LANES;
const PARTS = 6u; // r, b, w, k, kappa, a
const LOADS = (PARTS * PADDED + WORKGROUP - 1u) / WORKGROUP;
const BLOCKS = (SIZE + VALUES - 1u) / VALUES;
const CHANNELS = HEADS * SIZE;

var<workgroup> parts: array<f32, 2u * PARTS * PADDED>; // of this row and of the next in turn
var<workgroup> sums: array<vec2<f32>, 2u * WORKGROUP>;
var<workgroup> products: array<vec4<f32>, 2u * LANES>; // r a kappa, r k, b k

// Element i of a row's parts, each padded with zeros.
fn part_of(row: u32, head: u32, i: u32) -> f32 {
    let which = i / PADDED;
    let at = i % PADDED;
    if (at >= SIZE) { return 0.0; }
    let column = head * SIZE + at;
    switch (which) {
        case 0u, 1u: { return rb[row * RB_STRIDE + RB_OFFSET + which * CHANNELS + column]; }
        case 2u: { return w[row * W_STRIDE + W_OFFSET + column]; }
        case 3u: { return k[row * K_STRIDE + K_OFFSET + column]; }
        default: { return ka[row * KA_STRIDE + KA_OFFSET + (which - 4u) * CHANNELS + column]; }
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    var first = 0u;
    for (var i = 0u; i < group.y; i++) { if (first < inputs[0]) { first = end_of_run(first); } }
    if (first >= inputs[0]) { return; }
    let end = end_of_run(first);
    let head = group.x / BLOCKS;
    let lane = thread / VALUES;
    let column = (group.x % BLOCKS) * VALUES + thread % VALUES;
    let is_inside = column < SIZE;
    let place = head * SIZE + min(column, SIZE - 1u);
    let kept = (slot_of(first) * HEADS + head) * SIZE * SIZE + min(column, SIZE - 1u);

    var held: array<f32, EACH>;
    for (var m = 0u; m < EACH; m++) {
        let i = m * LANES + lane;
        held[m] = 0.0;
        if (i < SIZE && position_of(first) > 0u) { held[m] = state[kept + i * SIZE]; }
    }
    for (var i = thread; i < PARTS * PADDED; i += WORKGROUP) { parts[i] = part_of(first, head, i); }
    var value = v[first * V_STRIDE + V_OFFSET + place];
    var side = 0u;
    workgroupBarrier();

    for (var row = first; row < end; row++) {
        let next = min(row + 1u, end - 1u); // is on its way while this row is computed
        var coming: array<f32, LOADS>;
        for (var j = 0u; j < LOADS; j++) { coming[j] = part_of(next, head, min(j * WORKGROUP + thread, PARTS * PADDED - 1u)); }
        let next_value = v[next * V_STRIDE + V_OFFSET + place];

        var fade: array<f32, EACH>;
        var key: array<f32, EACH>;
        var taken: array<f32, EACH>; // a kappa
        var sum = vec2<f32>(0.0);
        var product = vec3<f32>(0.0);
        for (var m = 0u; m < EACH; m++) {
            let i = side * PARTS * PADDED + m * LANES + lane;
            let r = parts[i];
            let b = parts[i + PADDED];
            let kappa = parts[i + 4u * PADDED];
            fade[m] = parts[i + 2u * PADDED];
            key[m] = parts[i + 3u * PADDED];
            taken[m] = kappa * parts[i + 5u * PADDED];
            sum += held[m] * vec2<f32>(kappa, fade[m] * r);
            product += vec3<f32>(r * taken[m], r * key[m], b * key[m]);
        }
        sums[side * WORKGROUP + thread] = sum;
        if (thread % VALUES == 0u) { products[side * LANES + lane] = vec4<f32>(product, 0.0); }
        for (var j = 0u; j < LOADS; j++) {
            let i = j * WORKGROUP + thread;
            if (i < PARTS * PADDED) { parts[(1u - side) * PARTS * PADDED + i] = coming[j]; }
        }
        workgroupBarrier();

        var total = vec2<f32>(0.0);
        var whole = vec3<f32>(0.0);
        for (var l = 0u; l < LANES; l++) {
            total += sums[side * WORKGROUP + l * VALUES + thread % VALUES];
            whole += products[side * LANES + l].xyz;
        }
        if (lane == 0u && is_inside) {
            y[row * Y_STRIDE + place] = total.y - total.x * whole.x + value * whole.y;
            y[row * Y_STRIDE + CHANNELS + place] = value * whole.z;
        }
        for (var m = 0u; m < EACH; m++) { held[m] = held[m] * fade[m] - taken[m] * total.x + key[m] * value; }
        value = next_value;
        side = 1u - side;
    }

    if (is_inside) {
        for (var m = 0u; m < EACH; m++) {
            let i = m * LANES + lane;
            if (i < SIZE) { state[kept + i * SIZE] = held[m]; }
        }
    }
}
