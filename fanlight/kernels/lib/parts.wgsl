// Four elements of a product's row whose K was shared out among workgroups: its parts + bias + residual. See gemm_matrix.py.
fn added(out: u32, n: u32) -> f32 { return bias_of(ROW_OFFSET + n) + residual_of(out); }

fn sum_of_parts(row: u32, n: u32) -> vec4<f32> {
    let out = row * Y_STRIDE + ROW_OFFSET + n;
    var sum = vec4<f32>(added(out, n), added(out + 1u, n + 1u), added(out + 2u, n + 2u), added(out + 3u, n + 3u));
    let first = (row / TILE * ((N + TILE - 1u) / TILE) + n / TILE) * TURNS; // turn of the elements' tile, of all tiles'
    let parts = (first + TURNS - 1u) / SHARE - first / SHARE + 1u;
    for (var i = 0u; i < parts; i++) { sum += x[((i * ROWS + row) * N + n) / 4u]; }
    return sum;
}
