fn slope_of(head: u32) -> f32 { return 0.0; }
