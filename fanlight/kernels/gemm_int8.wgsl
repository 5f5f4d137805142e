// Y = X W^T in integers: tiles of TILE_M rows of X by TILE_N rows of W, KG groups of 32 elements of K at a time. See gemm_int8.py.
// A tile keeps the j-th 16 bytes of all its rows side by side: neighbouring threads then read neighbouring vec4, and the two
// spare ones after each set keep the writes of a stage in different banks.

const THREADS = TX * TY;
const TN = TILE_N / TX; // columns of a thread: tx, tx + TX, ...
const FOURS = TILE_M / TY / 4u; // rows of a thread, by four: ty * 4 FOURS, ...
const WS = TILE_N + 2u;
const XS = TILE_M + 2u;
const W_TURNS = (TILE_N * KG + THREADS - 1u) / THREADS; // groups of W that a thread stages
const X_TURNS = (TILE_M * KG * 2u + THREADS - 1u) / THREADS; // halves of groups of X
const D_TURNS = (TILE_M * KG + THREADS - 1u) / THREADS;
const STAGES = (GROUPS + KG - 1u) / KG;

var<workgroup> w_tile: array<vec4<u32>, 2u * KG * WS>;
var<workgroup> x_tile: array<vec4<u32>, 2u * KG * XS>;
var<workgroup> w_scale: array<f32, KG * TILE_N * SCALES>;
var<workgroup> x_scale: array<f32, KG * TILE_M>;

// Between threads, at the end: W's tile is done with.
fn hand(thread: u32, v: vec4<u32>) { w_tile[thread] = v; }
fn handed(thread: u32) -> vec4<u32> { return w_tile[thread]; }

// What a thread brings from global memory for a stage; weights stay packed until they are put into the tile.
struct Fetched {
    w: array<Raw, W_TURNS>,
    x: array<vec4<u32>, X_TURNS>,
    d: array<f32, D_TURNS>,
}

// Four rows of X in one group: the halves a and b of each.
struct Rows {
    a0: vec4<u32>,
    a1: vec4<u32>,
    a2: vec4<u32>,
    a3: vec4<u32>,
    b0: vec4<u32>,
    b1: vec4<u32>,
    b2: vec4<u32>,
    b3: vec4<u32>,
    scale: vec4<f32>,
    sum_a: vec4<f32>,
    sum_b: vec4<f32>,
}

// The group of W that turn i of a stage brings.
fn weights_of(stage: u32, tile: u32, i: u32) -> u32 {
    return weight_group(weight_row(tile, i / KG), min(stage * KG + i % KG, GROUPS - 1u));
}

fn fetch(stage: u32, tile: u32, row0: u32, last_row: u32, thread: u32) -> Fetched {
    var f: Fetched;
    for (var u = 0u; u < W_TURNS; u++) {
        f.w[u] = raw(weights_of(stage, tile, thread + u * THREADS));
    }
    for (var u = 0u; u < X_TURNS; u++) {
        let i = thread + u * THREADS;
        let half = min(stage * KG * 2u + i % (2u * KG), GROUPS * 2u - 1u);
        f.x[u] = xq[row_of_x(min(row0 + i / (2u * KG), last_row)) * GROUPS * 2u + half];
    }
    for (var u = 0u; u < D_TURNS; u++) {
        let i = thread + u * THREADS;
        let g = stage * KG + i % KG;
        let d = xd[row_of_x(min(row0 + i / KG, last_row)) * GROUPS + min(g, GROUPS - 1u)];
        f.d[u] = select(0.0, d, g < GROUPS); // past the end of K nothing counts
    }
    return f;
}

fn put(f: Fetched, stage: u32, tile: u32, thread: u32) {
    for (var u = 0u; u < W_TURNS; u++) {
        let i = thread + u * THREADS;
        if (i < TILE_N * KG) {
            let n = i / KG;
            let kg = i % KG;
            let weights = unpack_raw(f.w[u], weights_of(stage, tile, i));
            w_tile[2u * kg * WS + n] = centered(weights.a);
            w_tile[(2u * kg + 1u) * WS + n] = centered(weights.b);
            put_scales(weights, kg * TILE_N + n);
            put_offsets(weights, kg * TILE_N + n);
        }
    }
    for (var u = 0u; u < X_TURNS; u++) {
        let i = thread + u * THREADS;
        if (i < TILE_M * KG * 2u) {
            x_tile[i % (2u * KG) * XS + i / (2u * KG)] = f.x[u];
            put_sum(f.x[u], i % (2u * KG) * TILE_M + i / (2u * KG));
        }
    }
    for (var u = 0u; u < D_TURNS; u++) {
        let i = thread + u * THREADS;
        if (i < TILE_M * KG) { x_scale[i % KG * TILE_M + i / KG] = f.d[u]; }
    }
}

fn rows_at(kg: u32, m: u32) -> Rows {
    let a = 2u * kg * XS + m;
    let b = a + XS;
    let d = kg * TILE_M + m;
    let scale = vec4<f32>(x_scale[d], x_scale[d + 1u], x_scale[d + 2u], x_scale[d + 3u]);
    return Rows(x_tile[a], x_tile[a + 1u], x_tile[a + 2u], x_tile[a + 3u], x_tile[b], x_tile[b + 1u], x_tile[b + 2u], x_tile[b + 3u],
        scale, scale * sums_of(kg * 2u * TILE_M + m), scale * sums_of((kg * 2u + 1u) * TILE_M + m));
}

fn dot_half(x: vec4<u32>, w: vec4<u32>) -> i32 {
    return dot4I8Packed(x.x, w.x) + dot4I8Packed(x.y, w.y) + dot4I8Packed(x.z, w.z) + dot4I8Packed(x.w, w.w);
}
fn dots_a(x: Rows, w: vec4<u32>) -> vec4<i32> {
    return vec4<i32>(dot_half(x.a0, w), dot_half(x.a1, w), dot_half(x.a2, w), dot_half(x.a3, w));
}
fn dots_b(x: Rows, w: vec4<u32>) -> vec4<i32> {
    return vec4<i32>(dot_half(x.b0, w), dot_half(x.b1, w), dot_half(x.b2, w), dot_half(x.b3, w));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let span = span_of(group.y, TILE_M);
    let row0 = span.first;
    let rows = span.end;
    if (row0 >= rows) { return; }
    let tx = thread % TX;
    let m0 = thread / TX * FOURS * 4u;
    var acc: array<vec4<f32>, TN * FOURS>;
    for (var stage = 0u; stage < STAGES; stage++) {
        put(fetch(stage, group.x, row0, rows - 1u, thread), stage, group.x, thread);
        workgroupBarrier();
        for (var kg = 0u; kg < KG; kg++) {
            var x: array<Rows, FOURS>;
            for (var r = 0u; r < FOURS; r++) { x[r] = rows_at(kg, m0 + 4u * r); }
            for (var j = 0u; j < TN; j++) {
                let n = tx + TX * j;
                let a = w_tile[2u * kg * WS + n];
                let b = w_tile[(2u * kg + 1u) * WS + n];
                for (var r = 0u; r < FOURS; r++) { acc[j * FOURS + r] += product(x[r], a, b, kg * TILE_N + n); }
            }
        }
        workgroupBarrier();
    }
    finish_tile(acc, group.x, row0, rows, tx, m0);
}
