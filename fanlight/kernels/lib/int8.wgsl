// Sums and products of 16 packed i8.
fn sum_int8(q: vec4<u32>) -> i32 {
    return dot4I8Packed(q.x, 0x01010101u) + dot4I8Packed(q.y, 0x01010101u) + dot4I8Packed(q.z, 0x01010101u)
        + dot4I8Packed(q.w, 0x01010101u);
}
fn dot16(w: vec4<u32>, x: vec4<u32>) -> f32 {
    return f32(dot4I8Packed(w.x, x.x) + dot4I8Packed(w.y, x.y) + dot4I8Packed(w.z, x.z) + dot4I8Packed(w.w, x.w));
}
