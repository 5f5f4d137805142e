// The elements leave quantised, 16 to a scale: 16 integers in a vec4<u32>, and (scale, scale times sum).
var<workgroup> elements: array<f32, COLS * PAIRS_HERE>;
fn four(at: u32, by: f32) -> u32 {
    return four_int8(vec4<f32>(elements[at], elements[at + 1u], elements[at + 2u], elements[at + 3u]), by);
}
fn finish(pair: u32, column: u32, value: vec2<f32>, early: Early, is_last: bool, thread: u32) {
    if (is_last) { elements[thread] = epilogue(value.x, value.y, early); }
    workgroupBarrier();
    if (!is_last || thread % 16u != 0u || pair >= PAIRS) { return; }
    var top = 0.0;
    for (var i = 0u; i < 16u; i++) { top = max(top, abs(elements[thread + i])); }
    let by = select(0.0, 127.0 / top, top > 0.0);
    let q = vec4<u32>(four(thread, by), four(thread + 4u, by), four(thread + 8u, by), four(thread + 12u, by));
    let at = (y_row(column) * Y_STRIDE + ROW_OFFSET + pair) / 16u;
    y[at] = q;
    y_scales[at] = vec2<f32>(top / 127.0, top / 127.0 * f32(sum_int8(q)));
}
