// Four numbers times `by`, rounded to nearest (ties to even) and packed: 2^23 + 2^22 leaves the integer in an f32's low bits,
// which is cheaper than a conversion that must mind its range.
fn four_int8(v: vec4<f32>, by: f32) -> u32 {
    let bytes = bitcast<vec4<u32>>(v * by + vec4<f32>(12582912.0)) & vec4<u32>(0xffu);
    return bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | (bytes.w << 24u);
}
// Sums and products of 16 packed i8.
fn sum_int8(q: vec4<u32>) -> i32 {
    return dot4I8Packed(q.x, 0x01010101u) + dot4I8Packed(q.y, 0x01010101u) + dot4I8Packed(q.z, 0x01010101u)
        + dot4I8Packed(q.w, 0x01010101u);
}
fn dot16(w: vec4<u32>, x: vec4<u32>) -> f32 {
    return f32(dot4I8Packed(w.x, x.x) + dot4I8Packed(w.y, x.y) + dot4I8Packed(w.z, x.z) + dot4I8Packed(w.w, x.w));
}
