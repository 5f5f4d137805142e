// The sixteen values of IQ4_NL and IQ4_XS, four i8 to a word.
const IQ4_VALUES = vec4<u32>(0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u);

fn value_of(code: u32) -> u32 {
    let low = select(IQ4_VALUES.x, IQ4_VALUES.y, (code & 4u) != 0u);
    let high = select(IQ4_VALUES.z, IQ4_VALUES.w, (code & 4u) != 0u);
    return (select(low, high, (code & 8u) != 0u) >> ((code & 3u) * 8u)) & 0xffu;
}
// Four codes in a word's bytes.
fn values_of(q: u32) -> u32 {
    return value_of(q & 0xfu) | (value_of((q >> 8u) & 0xfu) << 8u) | (value_of((q >> 16u) & 0xfu) << 16u) | (value_of(q >> 24u) << 24u);
}
fn values4(q: vec4<u32>) -> vec4<u32> { return vec4<u32>(values_of(q.x), values_of(q.y), values_of(q.z), values_of(q.w)); }
