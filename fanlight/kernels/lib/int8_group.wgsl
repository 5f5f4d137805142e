// 32 values as i8 with one scale: half a group's integers from its four vec4.
fn largest16(v: array<vec4<f32>, 4>) -> f32 {
    let most = max(max(abs(v[0]), abs(v[1])), max(abs(v[2]), abs(v[3])));
    return max(max(most.x, most.y), max(most.z, most.w));
}
fn int8_of16(v: array<vec4<f32>, 4>, by: f32) -> vec4<u32> {
    return vec4<u32>(four_int8(v[0], by), four_int8(v[1], by), four_int8(v[2], by), four_int8(v[3], by));
}
// Group g of `row`, of GROUPS in each.
fn put_int8(row: u32, g: u32, a: array<vec4<f32>, 4>, b: array<vec4<f32>, 4>) {
    let top = max(largest16(a), largest16(b));
    let by = select(0.0, 127.0 / top, top > 0.0);
    let at = row * (K / 32u) + g;
    xq[at * 2u] = int8_of16(a, by);
    xq[at * 2u + 1u] = int8_of16(b, by);
    xd[at] = top / 127.0;
}
