fn finish(pair: u32, column: u32, value: vec2<f32>, early: Early, is_last: bool, thread: u32) {
    if (is_last && pair < PAIRS) { y[y_row(column) * Y_STRIDE + ROW_OFFSET + pair] = epilogue(value.x, value.y, early); }
}
