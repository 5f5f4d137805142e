// The result leaves quantised, 16 to a scale: 16 integers in a vec4<u32>, and (scale, scale times sum).
var<workgroup> elements: array<vec4<f32>, SUB * D / 4u>;
fn give(head: u32, split: u32, i: u32, joined: Joined, is_last: bool, thread: u32) {
    if (is_last) { elements[thread] = joined.sum / joined.total; }
    workgroupBarrier();
    if (!is_last || thread % 4u != 0u) { return; }
    let v0 = elements[thread];
    let v1 = elements[thread + 1u];
    let v2 = elements[thread + 2u];
    let v3 = elements[thread + 3u];
    let most = max(max(abs(v0), abs(v1)), max(abs(v2), abs(v3)));
    let top = max(max(most.x, most.y), max(most.z, most.w));
    let by = select(0.0, 127.0 / top, top > 0.0);
    let packed = vec4<u32>(four_int8(v0, by), four_int8(v1, by), four_int8(v2, by), four_int8(v3, by));
    y[(head * (D / 4u) + i) / 4u] = packed;
    y_scales[(head * (D / 4u) + i) / 4u] = vec2<f32>(top / 127.0, top / 127.0 * f32(sum_int8(packed)));
}
