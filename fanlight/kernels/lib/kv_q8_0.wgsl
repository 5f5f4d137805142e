// Elements as integers of 8 bits, four to a word; 32 share a scale. See kv.py.
fn kv_scale(element: u32) -> f32 {
    let word = SCALES_AT + element / SPAN;
    return unpack2x16float(kv[word / 4u][word % 4u])[element % SPAN / 32u];
}
fn kv_integers(word: u32) -> vec4<f32> {
    return vec4<f32>((vec4<i32>(bitcast<i32>(word)) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u));
}
fn kv4(element: u32) -> vec4<f32> { return kv_integers(kv[element / 16u][element / 4u % 4u]) * kv_scale(element); }
fn kv8(element: u32) -> array<vec4<f32>, 2> {
    let words = kv[element / 16u];
    let pair = select(words.xy, words.zw, element / 8u % 2u == 1u);
    let scale = kv_scale(element);
    return array<vec4<f32>, 2>(kv_integers(pair.x) * scale, kv_integers(pair.y) * scale);
}
// Four elements, numbered by fours: their integers and their scale.
fn kv_cell(i: u32) -> vec2<u32> { return vec2<u32>(kv[i / 4u][i % 4u], bitcast<u32>(kv_scale(4u * i))); }
fn cell4(c: vec2<u32>) -> vec4<f32> { return kv_integers(c.x) * bitcast<f32>(c.y); }
