// Y = X W^T with subgroup matrices of f16, 16 x 16 x 16, accumulated in f32. An experiment: bench/experiments_matrix.py.
// A workgroup of SUBGROUPS_M x SUBGROUPS_N subgroups of 32; each takes FRAGMENTS_M x FRAGMENTS_N matrices. Both operands are
// dequantised to f16 on their way into workgroup memory, KG groups of 32 elements of K at a time.

const THREADS = SUBGROUPS_M * SUBGROUPS_N * 32u;
const TILE_M = SUBGROUPS_M * FRAGMENTS_M * 16u;
const TILE_N = SUBGROUPS_N * FRAGMENTS_N * 16u;
const STRIDE = KG * 32u + 8u; // f16 from row to row of a tile: rows lie in different banks
const W_TURNS = (TILE_N * KG + THREADS - 1u) / THREADS;
const X_TURNS = (TILE_M * KG * 2u + THREADS - 1u) / THREADS;
const STAGES = (GROUPS + KG - 1u) / KG;

var<workgroup> w_tile: array<f16, TILE_N * STRIDE>;
var<workgroup> x_tile: array<f16, TILE_M * STRIDE>;
var<workgroup> results: array<f32, SUBGROUPS_M * SUBGROUPS_N * 256u>;

struct Fetched {
    w: array<Raw, W_TURNS>,
    x: array<vec4<u32>, X_TURNS>,
    d: array<f32, X_TURNS>,
}

fn weights_of(stage: u32, tile: u32, i: u32) -> u32 {
    return min(tile * TILE_N + i / KG, N - 1u) * GROUPS + min(stage * KG + i % KG, GROUPS - 1u);
}

fn fetch(stage: u32, tile: u32, row0: u32, last_row: u32, thread: u32) -> Fetched {
    var f: Fetched;
    for (var u = 0u; u < W_TURNS; u++) { f.w[u] = raw(weights_of(stage, tile, thread + u * THREADS)); }
    for (var u = 0u; u < X_TURNS; u++) {
        let i = thread + u * THREADS;
        let half = stage * KG * 2u + i % (2u * KG);
        let at = min(row0 + i / (2u * KG), last_row) * GROUPS * 2u + min(half, GROUPS * 2u - 1u);
        f.x[u] = xq[at];
        f.d[u] = select(0.0, xd[at / 2u], half < GROUPS * 2u); // past the end of K nothing counts
    }
    return f;
}

fn put_w(at: u32, v: vec4<f32>) {
    let h = vec4<f16>(v);
    w_tile[at] = h.x;
    w_tile[at + 1u] = h.y;
    w_tile[at + 2u] = h.z;
    w_tile[at + 3u] = h.w;
}

fn put_x(at: u32, v: vec4<f32>) {
    let h = vec4<f16>(clamp(v, vec4<f32>(-65504.0), vec4<f32>(65504.0)));
    x_tile[at] = h.x;
    x_tile[at + 1u] = h.y;
    x_tile[at + 2u] = h.z;
    x_tile[at + 3u] = h.w;
}

fn put(f: Fetched, stage: u32, tile: u32, thread: u32) {
    for (var u = 0u; u < W_TURNS; u++) {
        let i = thread + u * THREADS;
        if (i < TILE_N * KG) {
            let weights = unpack_raw(f.w[u], weights_of(stage, tile, i));
            let at = i / KG * STRIDE + i % KG * 32u;
            for (var j = 0u; j < 4u; j++) { put_w(at + 4u * j, weights.scale.x * q4(weights.a[j]) + weights.offset.x); }
            for (var j = 0u; j < 4u; j++) { put_w(at + 16u + 4u * j, weights.scale.y * q4(weights.b[j]) + weights.offset.y); }
        }
    }
    for (var u = 0u; u < X_TURNS; u++) {
        let i = thread + u * THREADS;
        if (i < TILE_M * KG * 2u) {
            let at = i / (2u * KG) * STRIDE + i % (2u * KG) * 16u;
            for (var j = 0u; j < 4u; j++) { put_x(at + 4u * j, f.d[u] * q4(f.x[u][j])); }
        }
    }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32,
    @builtin(subgroup_id) subgroup: u32) {
    let row0 = group.y * TILE_M;
    let rows = inputs[0];
    if (row0 >= rows) { return; }
    let m0 = subgroup / SUBGROUPS_N * FRAGMENTS_M * 16u;
    let n0 = subgroup % SUBGROUPS_N * FRAGMENTS_N * 16u;
    var acc: array<subgroup_matrix_result<f32, 16, 16>, FRAGMENTS_M * FRAGMENTS_N>;
    var next = fetch(0u, group.x, row0, rows - 1u, thread);
    for (var stage = 0u; stage < STAGES; stage++) {
        put(next, stage, group.x, thread);
        workgroupBarrier();
        if (stage + 1u < STAGES) { next = fetch(stage + 1u, group.x, row0, rows - 1u, thread); }
        for (var k = 0u; k < KG * 32u; k += 16u) {
            var left: array<subgroup_matrix_left<f16, 16, 16>, FRAGMENTS_M>;
            for (var i = 0u; i < FRAGMENTS_M; i++) {
                left[i] = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&x_tile, (m0 + 16u * i) * STRIDE + k, STRIDE);
            }
            for (var j = 0u; j < FRAGMENTS_N; j++) {
                let right = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, col_major>(&w_tile, (n0 + 16u * j) * STRIDE + k, STRIDE);
                for (var i = 0u; i < FRAGMENTS_M; i++) {
                    acc[i * FRAGMENTS_N + j] = subgroupMatrixMultiplyAccumulate(left[i], right, acc[i * FRAGMENTS_N + j]);
                }
            }
        }
        workgroupBarrier();
    }
    for (var f = 0u; f < FRAGMENTS_M * FRAGMENTS_N; f++) {
        subgroupMatrixStore<row_major>(&results, subgroup * 256u, acc[f], 16u);
        workgroupBarrier();
        for (var e = thread % 32u; e < 256u; e += 32u) {
            let row = row0 + m0 + f / FRAGMENTS_N * 16u + e / 16u;
            let n = group.x * TILE_N + n0 + f % FRAGMENTS_N * 16u + e % 16u;
            if (row < rows && n < N) {
                let out = row * Y_STRIDE + ROW_OFFSET + n;
                y[out] = results[subgroup * 256u + e] + bias_of(ROW_OFFSET + n) + residual_of(out);
            }
        }
        workgroupBarrier();
    }
}
