// A group whose halves differ in scale and offset times 32 activations: their integers a and b, and (scale, scale times sum) of each half.
fn dot_int8(w: Group, a: vec4<u32>, b: vec4<u32>, da: vec2<f32>, db: vec2<f32>) -> f32 {
    return w.scale.x * da.x * dot16(w.a, a) + w.scale.y * db.x * dot16(w.b, b) + w.offset.x * da.y + w.offset.y * db.y;
}
