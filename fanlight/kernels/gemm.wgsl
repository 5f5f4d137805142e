// Y = X W^T in tiles of 64 rows of X by 64 rows of W, 32 elements of K at a time. See gemm.py.
// A tile's row r keeps its eight vec4 at r * 8 + (j ^ (r & 7)): eight neighbouring rows then lie in different banks.

const THREADS = TX * TY;
const TM = 64u / TY; // rows of a thread: ty, ty + TY, ...
const TN = 64u / TX; // columns: tx, tx + TX, ...
const FOURS = TN / 4u;

var<workgroup> xs: array<vec4<f32>, 512>;
var<workgroup> ws: array<vec4<f32>, 512>;

fn at(row: u32, j: u32) -> u32 { return row * 8u + (j ^ (row & 7u)); }

fn stage(g: u32, row0: u32, last_row: u32, n0: u32, thread: u32) {
    for (var i = thread; i < 512u; i += THREADS) {
        xs[at(i / 8u, i % 8u)] = x4(row_of_x(min(row0 + i / 8u, last_row)), g * 32u + (i % 8u) * 4u);
    }
    for (var i = thread; i < 64u; i += THREADS) {
        let weights = unpack(weight_group(min(n0 + i, N - 1u), g));
        for (var j = 0u; j < 8u; j++) { ws[at(i, j)] = value4(weights, j); }
    }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let span = span_of(group.y, 64u);
    let row0 = span.first;
    let rows = span.end;
    if (row0 >= rows) { return; }
    let n0 = group.x * 64u;
    let tx = thread % TX;
    let ty = thread / TX;
    var acc: array<vec4<f32>, TM * FOURS>;
    for (var g = 0u; g < GROUPS; g++) {
        stage(g, row0, rows - 1u, n0, thread);
        workgroupBarrier();
        for (var k = 0u; k < 8u; k++) {
            var b: array<vec4<f32>, TN>;
            for (var j = 0u; j < TN; j++) { b[j] = ws[at(tx + TX * j, k)]; }
            for (var i = 0u; i < TM; i++) {
                let a = xs[at(ty + TY * i, k)];
                for (var f = 0u; f < FOURS; f++) {
                    let j = 4u * f;
                    acc[i * FOURS + f] += vec4<f32>(dot(a, b[j]), dot(a, b[j + 1u]), dot(a, b[j + 2u]), dot(a, b[j + 3u]));
                }
            }
        }
        workgroupBarrier();
    }
    for (var i = 0u; i < TM; i++) {
        let row = row0 + ty + TY * i;
        for (var j = 0u; j < TN; j++) {
            let n = n0 + tx + TX * j;
            if (row < rows && n < N) {
                let out = ROW_OFFSET + n;
                let at = row_of_y(row);
                y[at * Y_STRIDE + out] = epilogue(acc[i * FOURS + j / 4u][j % 4u], extras_of(at, extras_column(out)));
            }
        }
    }
}
