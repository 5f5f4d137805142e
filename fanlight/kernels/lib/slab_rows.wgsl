// A tile's columns are neighbouring rows of W; results leave in f32, those of each part of K behind those of the one before.
fn weight_row(column: u32, n: u32) -> u32 { return min(column * TILE_N + n, N - 1u); }

fn finish_slab(column: u32, part: u32, row0: u32, rows: u32, thread: u32) {
    let slab = bufferView<array<f32, SLAB * 4u>>(&tile, 0u);
    for (var i = thread; i < 16u * TILE_N; i += THREADS) {
        let row = row0 + i / TILE_N;
        let n = column * TILE_N + i % TILE_N;
        if (row < rows && n < N) {
            let out = ROW_OFFSET + n;
            y[(part * ROWS + row) * Y_STRIDE + out] = epilogue(slab[i] / GAIN, extras_of(row, out));
        }
    }
}
