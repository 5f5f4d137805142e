fn column_of(row: u32, i: u32) -> f32 { return x[row * X_STRIDE + X_OFFSET + i]; }
