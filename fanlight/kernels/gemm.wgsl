// Y = X W^T in tiles of 64 rows of X by 64 rows of W, 32 elements of K at a time. See gemm.py.
// A tile's row r keeps its eight vec4 at r * 8 + (j ^ (r & 7)): eight neighbouring rows then lie in different banks.

var<workgroup> xs: array<vec4<f32>, 512>;
var<workgroup> ws: array<vec4<f32>, 512>;

fn at(row: u32, j: u32) -> u32 { return row * 8u + (j ^ (row & 7u)); }

@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row0 = group.y * 64u;
    let rows = inputs[0];
    if (row0 >= rows) { return; }
    let n0 = group.x * 64u;
    let tx = thread % 16u;
    let ty = thread / 16u;
    var acc: array<vec4<f32>, 4>;
    for (var g = 0u; g < GROUPS; g++) {
        for (var i = thread; i < 512u; i += 256u) {
            let r = i / 8u;
            xs[at(r, i % 8u)] = x4(min(row0 + r, rows - 1u), g * 32u + (i % 8u) * 4u);
        }
        let n = thread / 4u;
        let j = (thread % 4u) * 2u;
        let weights = unpack(min(n0 + n, N - 1u) * GROUPS + g);
        ws[at(n, j)] = value4(weights, j);
        ws[at(n, j + 1u)] = value4(weights, j + 1u);
        workgroupBarrier();
        for (var k = 0u; k < 8u; k++) {
            let b0 = ws[at(tx, k)];
            let b1 = ws[at(tx + 16u, k)];
            let b2 = ws[at(tx + 32u, k)];
            let b3 = ws[at(tx + 48u, k)];
            for (var i = 0u; i < 4u; i++) {
                let a = xs[at(ty + 16u * i, k)];
                acc[i] += vec4<f32>(dot(a, b0), dot(a, b1), dot(a, b2), dot(a, b3));
            }
        }
        workgroupBarrier();
    }
    for (var i = 0u; i < 4u; i++) {
        let row = row0 + ty + 16u * i;
        for (var c = 0u; c < 4u; c++) {
            let n = n0 + tx + 16u * c;
            if (row < rows && n < N) {
                let out = row * Y_STRIDE + ROW_OFFSET + n;
                y[out] = acc[i][c] + bias_of(ROW_OFFSET + n) + residual_of(out);
            }
        }
    }
}
