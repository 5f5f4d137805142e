fn widen(i: u32) -> f32 { return unpack2x16float(staging[i / 2u])[i % 2u]; }
