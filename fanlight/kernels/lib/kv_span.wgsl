// SPAN elements of the cache and the word of their scales, by one thread. `given4` has four of them at a time, numbered so from
// `first` on. See kv.py.
fn kv_write_span(element: u32, row: u32, first: u32) {
    var scales = vec2<f32>(0.0);
    for (var b = 0u; b < SPAN / 32u; b++) {
        var v: array<vec4<f32>, 8>;
        for (var i = 0u; i < 8u; i++) { v[i] = given4(row, first + 8u * b + i); }
        scales[b] = kv_block(element + 32u * b, v);
    }
    kv[SCALES_AT + element / SPAN] = pack2x16float(clamp(scales, vec2<f32>(-65504.0), vec2<f32>(65504.0)));
}
