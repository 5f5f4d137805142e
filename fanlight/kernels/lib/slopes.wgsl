// By how much a head's scores change from position to position.
fn slope_of(head: u32) -> f32 { return slopes[head]; }
