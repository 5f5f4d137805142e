fn widen(i: u32) -> f32 { return bitcast<f32>((staging[i / 2u] >> ((i % 2u) * 16u)) << 16u); }
