// Four elements of a row of q, k and v. See rope_kv.py.
fn four_of(row: u32, n: u32) -> vec4<f32> {
    let at = row * QKV_STRIDE + n;
    return vec4<f32>(qkv[at], qkv[at + 1u], qkv[at + 2u], qkv[at + 3u]);
}
