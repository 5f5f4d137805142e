// A tile's columns are neighbouring rows of W; results leave in f32.
fn weight_row(tile: u32, column: u32) -> u32 { return min(tile * TILE_N + column, N - 1u); }
fn finish_tile(acc: array<vec4<f32>, TN * FOURS>, tile: u32, row0: u32, rows: u32, tx: u32, m0: u32) {
    for (var j = 0u; j < TN; j++) {
        let n = tile * TILE_N + tx + TX * j;
        for (var i = 0u; i < FOURS * 4u; i++) {
            let row = row0 + m0 + i;
            if (row < rows && n < N) {
                let out = ROW_OFFSET + n;
                let at = row_of_y(row);
                y[at * Y_STRIDE + out] = epilogue(acc[j * FOURS + i / 4u][i % 4u], extras_of(at, extras_column(out)));
            }
        }
    }
}
