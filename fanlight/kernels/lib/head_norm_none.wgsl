const HEAD_NORM = false;
fn head_weight(head: u32, i: u32) -> vec2<f32> { return vec2<f32>(1.0); }
fn head_normed(value: vec2<f32>, weight: vec2<f32>) -> vec2<f32> { return value; }
