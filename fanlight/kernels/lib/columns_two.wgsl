fn column_of(row: u32, i: u32) -> f32 {
    if (i < X_COLUMNS) { return x[row * X_STRIDE + X_OFFSET + i]; }
    return also[row * ALSO_STRIDE + ALSO_OFFSET + i - X_COLUMNS];
}
