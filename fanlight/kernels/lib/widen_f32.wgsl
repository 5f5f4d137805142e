fn widen(i: u32) -> f32 { return bitcast<f32>(staging[i]); }
