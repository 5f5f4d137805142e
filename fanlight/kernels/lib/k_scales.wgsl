// Q4_K and Q5_K: eight 6-bit (scale, min) pairs in 12 bytes; returns pair i.
fn scale_min(packed: vec3<u32>, i: u32) -> vec2<f32> {
    let bytes = packed >> vec3<u32>((i % 4u) * 8u);
    let early = bytes.xy & vec2<u32>(63u);
    let late = vec2<u32>((bytes.z & 0xfu) | ((bytes.x >> 2u) & 0x30u), ((bytes.z >> 4u) & 0xfu) | ((bytes.y >> 2u) & 0x30u));
    return vec2<f32>(select(late, early, i < 4u));
}
