// Activations arrive quantised: 16 integers in a vec4<u32>, and for each such half (scale, scale times sum).
fn stage(chunk: u32, thread: u32) {
    for (var c = 0u; c < COLS; c++) {
        let row = (x_row(c) * X_STRIDE + X_OFFSET) / 16u + chunk * 2u;
        for (var i = thread; i < min(CHUNK, GROUPS - chunk) * 2u; i += WORKGROUP) {
            let at = (c * 2u + i % 2u) * CHUNK + i / 2u;
            xq[at] = x[row + i];
            xd[at] = x_scales[row + i] * share_of((chunk * 2u + i) * 16u);
        }
    }
}

fn gather_squares(chunk: u32, thread: u32, sums: ptr<function, array<f32, COLS>>) {}
fn scale_of(column: u32) -> f32 { return 1.0; }
