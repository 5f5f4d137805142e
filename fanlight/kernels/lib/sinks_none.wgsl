const SINK_WEIGHT = 0.0;
fn sink_of(head: u32) -> f32 { return NOTHING; }
