// Four elements of a product's row whose K was shared out among workgroups: the sum of its parts, and what is fused to it. See
// gemm_matrix.py.
fn sum_of_parts(row: u32, n: u32) -> vec4<f32> {
    let extras = extras_of(row, ROW_OFFSET + n); // under way while parts are added
    var sum = vec4<f32>(0.0);
    let first = (row / TILE * ((N + TILE - 1u) / TILE) + n / TILE) * TURNS; // turn of the elements' tile, of all tiles'
    let parts = (first + TURNS - 1u) / SHARE - first / SHARE + 1u;
    for (var i = 0u; i < parts; i++) { sum += x[((i * ROWS + row) * N + n) / 4u]; }
    return epilogue(sum, extras);
}
