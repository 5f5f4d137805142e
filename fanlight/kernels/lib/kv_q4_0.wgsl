// Elements as integers of 4 bits plus 8, eight to a word, the first lowest; 32 share a scale. See kv.py.
fn kv_scale(element: u32) -> f32 {
    let word = SCALES_AT + element / SPAN;
    return unpack2x16float(kv[word / 4u][word % 4u])[element % SPAN / 32u];
}
fn kv_integers(word: u32) -> vec4<f32> {
    return vec4<f32>((vec4<u32>(word) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u)) - vec4<f32>(8.0);
}
fn kv4(element: u32) -> vec4<f32> {
    return kv_integers(kv[element / 32u][element / 8u % 4u] >> (element / 4u % 2u * 16u)) * kv_scale(element);
}
fn kv8(element: u32) -> array<vec4<f32>, 2> {
    let word = kv[element / 32u][element / 8u % 4u];
    let scale = kv_scale(element);
    return array<vec4<f32>, 2>(kv_integers(word) * scale, kv_integers(word >> 16u) * scale);
}
// Four elements, numbered by fours: their integers and their scale.
fn kv_cell(i: u32) -> vec2<u32> {
    return vec2<u32>(kv[i / 8u][i / 2u % 4u] >> (i % 2u * 16u), bitcast<u32>(kv_scale(4u * i)));
}
fn cell4(c: vec2<u32>) -> vec4<f32> { return kv_integers(c.x) * bitcast<f32>(c.y); }
