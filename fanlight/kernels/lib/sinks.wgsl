// A head's sink: a score to no value, which its softmax begins with.
const SINK_WEIGHT = 1.0;
fn sink_of(head: u32) -> f32 { return sinks[head]; }
