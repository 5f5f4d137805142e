// Y = X W^T on subgroup matrices of f16, 16 x 16 x 16, summed in f32. See gemm_matrix.py.
// Each of four subgroups of 32 takes 64 rows of X by 64 of W as 4 x 4 matrices, each a variable of its own: an array of them would be
// kept in memory. Both tiles are f16, 32 elements of K at a time; a vec4 between rows keeps them in different banks. Two such turns, and
// the two halves of each, are written out: loops and functions take a third longer (docs/log.md).

alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Sum = subgroup_matrix_result<f32, 16, 16>;

const THREADS = 128u;
const TILE_M = 128u;
const TILE_N = 128u;
const STRIDE = 5u; // vec4<u32> from row to row of a tile
const HALVES = 8u * STRIDE;
const TILE = (TILE_M + TILE_N) * STRIDE; // vec4<u32>: X's rows, then W's
const SLAB = 4u * TILE_N; // vec4<u32>: 16 rows of results
const TURNS = GROUPS / 2u; // of a tile: 64 elements of K each
const COLUMNS = (N + TILE_N - 1u) / TILE_N;
const TILES = COLUMNS * ((ROWS + TILE_M - 1u) / TILE_M);
const GAIN = 4.0; // of X, so that f16 holds values of 0.002 to 16 000 with all its bits
const MOST_SCALE = 511.0; // times 127 is the largest f16

var<workgroup> tile: buffer<16u * max(TILE, SLAB)>;

// Four i8, whose sign bit is flipped, to f16: 0x6400 is 1024, and its last bits are ones.
fn half4(flipped: u32, scale: vec4<f16>, offset: vec4<f16>) -> vec2<u32> {
    let bytes = (vec2<u32>(flipped, flipped >> 8u) & vec2<u32>(0x00ff00ffu)) | vec2<u32>(0x64006400u);
    return bitcast<vec2<u32>>(fma(bitcast<vec4<f16>>(bytes) - vec4<f16>(1152.0h), scale, offset));
}

// 16 elements to a tile. Both operands have their elements in the same order, which is not the model's.
fn put16(at: u32, q: vec4<u32>, scale: f32, offset: f32) {
    let to = bufferView<array<vec4<u32>, TILE>>(&tile, 0u);
    let flipped = q ^ vec4<u32>(0x80808080u);
    let s = vec4<f16>(f16(scale));
    let o = vec4<f16>(f16(offset));
    to[at] = vec4<u32>(half4(flipped.x, s, o), half4(flipped.y, s, o));
    to[at + 1u] = vec4<u32>(half4(flipped.z, s, o), half4(flipped.w, s, o));
}

fn put(group: u32, column: u32, row0: u32, last_row: u32, thread: u32) {
    let w = unpack(weight_row(column, thread) * GROUPS + group);
    let at = (TILE_M + thread) * STRIDE;
    put16(at, w.a, w.scale.x, w.offset.x);
    put16(at + 2u, w.b, w.scale.y, w.offset.y);
    for (var u = 0u; u < 2u * TILE_M / THREADS; u++) { // neighbouring threads read neighbouring halves of a group
        let i = thread + u * THREADS;
        let source = min(row0 + i / 2u, last_row) * GROUPS + group;
        put16(i / 2u * STRIDE + i % 2u * 2u, xq[source * 2u + i % 2u], min(GAIN * xd[source], MOST_SCALE), 0.0);
    }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32,
    @builtin(subgroup_id) subgroup: u32) {
    let rows = inputs[0];
    let m0 = subgroup / 2u * 64u * HALVES;
    let n0 = (TILE_M + subgroup % 2u * 64u) * HALVES;
    let halves = bufferView<array<f16, TILE * 8u>>(&tile, 0u);
    let slab = bufferView<array<f32, SLAB * 4u>>(&tile, 0u);
    let last = min((group.x + 1u) * SHARE, TILES * TURNS);
    var turn = group.x * SHARE; // of all tiles' turns, one tile after the other
    while (turn < last) {
        let now = turn / TURNS;
        let begin = turn - now * TURNS;
        let end = min(TURNS, begin + last - turn);
        turn += end - begin;
        let column = now % COLUMNS;
        let row0 = now / COLUMNS * TILE_M;
        if (row0 >= rows) { return; }
        var s00 = Sum();
        var s01 = Sum();
        var s02 = Sum();
        var s03 = Sum();
        var s10 = Sum();
        var s11 = Sum();
        var s12 = Sum();
        var s13 = Sum();
        var s20 = Sum();
        var s21 = Sum();
        var s22 = Sum();
        var s23 = Sum();
        var s30 = Sum();
        var s31 = Sum();
        var s32 = Sum();
        var s33 = Sum();
        for (var g = 2u * begin; g < 2u * end; g += 2u) {
            put(g, column, row0, rows - 1u, thread);
            workgroupBarrier();
            {
                let x0 = subgroupMatrixLoad<Left, row_major>(halves, m0, HALVES);
                let x1 = subgroupMatrixLoad<Left, row_major>(halves, m0 + 16u * HALVES, HALVES);
                let x2 = subgroupMatrixLoad<Left, row_major>(halves, m0 + 32u * HALVES, HALVES);
                let x3 = subgroupMatrixLoad<Left, row_major>(halves, m0 + 48u * HALVES, HALVES);
                let w0 = subgroupMatrixLoad<Right, col_major>(halves, n0, HALVES);
                s00 = subgroupMatrixMultiplyAccumulate(x0, w0, s00);
                s10 = subgroupMatrixMultiplyAccumulate(x1, w0, s10);
                s20 = subgroupMatrixMultiplyAccumulate(x2, w0, s20);
                s30 = subgroupMatrixMultiplyAccumulate(x3, w0, s30);
                let w1 = subgroupMatrixLoad<Right, col_major>(halves, n0 + 16u * HALVES, HALVES);
                s01 = subgroupMatrixMultiplyAccumulate(x0, w1, s01);
                s11 = subgroupMatrixMultiplyAccumulate(x1, w1, s11);
                s21 = subgroupMatrixMultiplyAccumulate(x2, w1, s21);
                s31 = subgroupMatrixMultiplyAccumulate(x3, w1, s31);
                let w2 = subgroupMatrixLoad<Right, col_major>(halves, n0 + 32u * HALVES, HALVES);
                s02 = subgroupMatrixMultiplyAccumulate(x0, w2, s02);
                s12 = subgroupMatrixMultiplyAccumulate(x1, w2, s12);
                s22 = subgroupMatrixMultiplyAccumulate(x2, w2, s22);
                s32 = subgroupMatrixMultiplyAccumulate(x3, w2, s32);
                let w3 = subgroupMatrixLoad<Right, col_major>(halves, n0 + 48u * HALVES, HALVES);
                s03 = subgroupMatrixMultiplyAccumulate(x0, w3, s03);
                s13 = subgroupMatrixMultiplyAccumulate(x1, w3, s13);
                s23 = subgroupMatrixMultiplyAccumulate(x2, w3, s23);
                s33 = subgroupMatrixMultiplyAccumulate(x3, w3, s33);
            }
            {
                let x0 = subgroupMatrixLoad<Left, row_major>(halves, m0 + 16u, HALVES);
                let x1 = subgroupMatrixLoad<Left, row_major>(halves, m0 + 16u * HALVES + 16u, HALVES);
                let x2 = subgroupMatrixLoad<Left, row_major>(halves, m0 + 32u * HALVES + 16u, HALVES);
                let x3 = subgroupMatrixLoad<Left, row_major>(halves, m0 + 48u * HALVES + 16u, HALVES);
                let w0 = subgroupMatrixLoad<Right, col_major>(halves, n0 + 16u, HALVES);
                s00 = subgroupMatrixMultiplyAccumulate(x0, w0, s00);
                s10 = subgroupMatrixMultiplyAccumulate(x1, w0, s10);
                s20 = subgroupMatrixMultiplyAccumulate(x2, w0, s20);
                s30 = subgroupMatrixMultiplyAccumulate(x3, w0, s30);
                let w1 = subgroupMatrixLoad<Right, col_major>(halves, n0 + 16u * HALVES + 16u, HALVES);
                s01 = subgroupMatrixMultiplyAccumulate(x0, w1, s01);
                s11 = subgroupMatrixMultiplyAccumulate(x1, w1, s11);
                s21 = subgroupMatrixMultiplyAccumulate(x2, w1, s21);
                s31 = subgroupMatrixMultiplyAccumulate(x3, w1, s31);
                let w2 = subgroupMatrixLoad<Right, col_major>(halves, n0 + 32u * HALVES + 16u, HALVES);
                s02 = subgroupMatrixMultiplyAccumulate(x0, w2, s02);
                s12 = subgroupMatrixMultiplyAccumulate(x1, w2, s12);
                s22 = subgroupMatrixMultiplyAccumulate(x2, w2, s22);
                s32 = subgroupMatrixMultiplyAccumulate(x3, w2, s32);
                let w3 = subgroupMatrixLoad<Right, col_major>(halves, n0 + 48u * HALVES + 16u, HALVES);
                s03 = subgroupMatrixMultiplyAccumulate(x0, w3, s03);
                s13 = subgroupMatrixMultiplyAccumulate(x1, w3, s13);
                s23 = subgroupMatrixMultiplyAccumulate(x2, w3, s23);
                s33 = subgroupMatrixMultiplyAccumulate(x3, w3, s33);
            }
            workgroupBarrier();
            put(g + 1u, column, row0, rows - 1u, thread);
            workgroupBarrier();
            {
                let x0 = subgroupMatrixLoad<Left, row_major>(halves, m0, HALVES);
                let x1 = subgroupMatrixLoad<Left, row_major>(halves, m0 + 16u * HALVES, HALVES);
                let x2 = subgroupMatrixLoad<Left, row_major>(halves, m0 + 32u * HALVES, HALVES);
                let x3 = subgroupMatrixLoad<Left, row_major>(halves, m0 + 48u * HALVES, HALVES);
                let w0 = subgroupMatrixLoad<Right, col_major>(halves, n0, HALVES);
                s00 = subgroupMatrixMultiplyAccumulate(x0, w0, s00);
                s10 = subgroupMatrixMultiplyAccumulate(x1, w0, s10);
                s20 = subgroupMatrixMultiplyAccumulate(x2, w0, s20);
                s30 = subgroupMatrixMultiplyAccumulate(x3, w0, s30);
                let w1 = subgroupMatrixLoad<Right, col_major>(halves, n0 + 16u * HALVES, HALVES);
                s01 = subgroupMatrixMultiplyAccumulate(x0, w1, s01);
                s11 = subgroupMatrixMultiplyAccumulate(x1, w1, s11);
                s21 = subgroupMatrixMultiplyAccumulate(x2, w1, s21);
                s31 = subgroupMatrixMultiplyAccumulate(x3, w1, s31);
                let w2 = subgroupMatrixLoad<Right, col_major>(halves, n0 + 32u * HALVES, HALVES);
                s02 = subgroupMatrixMultiplyAccumulate(x0, w2, s02);
                s12 = subgroupMatrixMultiplyAccumulate(x1, w2, s12);
                s22 = subgroupMatrixMultiplyAccumulate(x2, w2, s22);
                s32 = subgroupMatrixMultiplyAccumulate(x3, w2, s32);
                let w3 = subgroupMatrixLoad<Right, col_major>(halves, n0 + 48u * HALVES, HALVES);
                s03 = subgroupMatrixMultiplyAccumulate(x0, w3, s03);
                s13 = subgroupMatrixMultiplyAccumulate(x1, w3, s13);
                s23 = subgroupMatrixMultiplyAccumulate(x2, w3, s23);
                s33 = subgroupMatrixMultiplyAccumulate(x3, w3, s33);
            }
            {
                let x0 = subgroupMatrixLoad<Left, row_major>(halves, m0 + 16u, HALVES);
                let x1 = subgroupMatrixLoad<Left, row_major>(halves, m0 + 16u * HALVES + 16u, HALVES);
                let x2 = subgroupMatrixLoad<Left, row_major>(halves, m0 + 32u * HALVES + 16u, HALVES);
                let x3 = subgroupMatrixLoad<Left, row_major>(halves, m0 + 48u * HALVES + 16u, HALVES);
                let w0 = subgroupMatrixLoad<Right, col_major>(halves, n0 + 16u, HALVES);
                s00 = subgroupMatrixMultiplyAccumulate(x0, w0, s00);
                s10 = subgroupMatrixMultiplyAccumulate(x1, w0, s10);
                s20 = subgroupMatrixMultiplyAccumulate(x2, w0, s20);
                s30 = subgroupMatrixMultiplyAccumulate(x3, w0, s30);
                let w1 = subgroupMatrixLoad<Right, col_major>(halves, n0 + 16u * HALVES + 16u, HALVES);
                s01 = subgroupMatrixMultiplyAccumulate(x0, w1, s01);
                s11 = subgroupMatrixMultiplyAccumulate(x1, w1, s11);
                s21 = subgroupMatrixMultiplyAccumulate(x2, w1, s21);
                s31 = subgroupMatrixMultiplyAccumulate(x3, w1, s31);
                let w2 = subgroupMatrixLoad<Right, col_major>(halves, n0 + 32u * HALVES + 16u, HALVES);
                s02 = subgroupMatrixMultiplyAccumulate(x0, w2, s02);
                s12 = subgroupMatrixMultiplyAccumulate(x1, w2, s12);
                s22 = subgroupMatrixMultiplyAccumulate(x2, w2, s22);
                s32 = subgroupMatrixMultiplyAccumulate(x3, w2, s32);
                let w3 = subgroupMatrixLoad<Right, col_major>(halves, n0 + 48u * HALVES + 16u, HALVES);
                s03 = subgroupMatrixMultiplyAccumulate(x0, w3, s03);
                s13 = subgroupMatrixMultiplyAccumulate(x1, w3, s13);
                s23 = subgroupMatrixMultiplyAccumulate(x2, w3, s23);
                s33 = subgroupMatrixMultiplyAccumulate(x3, w3, s33);
            }
            workgroupBarrier();
        }
        let side = subgroup % 2u * 64u;
        for (var sixteen = 0u; sixteen < TILE_M / 16u; sixteen++) {
            if (sixteen / 4u == subgroup / 2u) {
                switch (sixteen % 4u) {
                    case 0u: {
                        subgroupMatrixStore<row_major>(slab, side + 0u, s00, TILE_N);
                        subgroupMatrixStore<row_major>(slab, side + 16u, s01, TILE_N);
                        subgroupMatrixStore<row_major>(slab, side + 32u, s02, TILE_N);
                        subgroupMatrixStore<row_major>(slab, side + 48u, s03, TILE_N);
                    }
                    case 1u: {
                        subgroupMatrixStore<row_major>(slab, side + 0u, s10, TILE_N);
                        subgroupMatrixStore<row_major>(slab, side + 16u, s11, TILE_N);
                        subgroupMatrixStore<row_major>(slab, side + 32u, s12, TILE_N);
                        subgroupMatrixStore<row_major>(slab, side + 48u, s13, TILE_N);
                    }
                    case 2u: {
                        subgroupMatrixStore<row_major>(slab, side + 0u, s20, TILE_N);
                        subgroupMatrixStore<row_major>(slab, side + 16u, s21, TILE_N);
                        subgroupMatrixStore<row_major>(slab, side + 32u, s22, TILE_N);
                        subgroupMatrixStore<row_major>(slab, side + 48u, s23, TILE_N);
                    }
                    default: {
                        subgroupMatrixStore<row_major>(slab, side + 0u, s30, TILE_N);
                        subgroupMatrixStore<row_major>(slab, side + 16u, s31, TILE_N);
                        subgroupMatrixStore<row_major>(slab, side + 32u, s32, TILE_N);
                        subgroupMatrixStore<row_major>(slab, side + 48u, s33, TILE_N);
                    }
                }
            }
            workgroupBarrier();
            finish_slab(column, group.x - now * TURNS / SHARE, row0 + sixteen * 16u, rows, thread);
            workgroupBarrier();
        }
    }
}
