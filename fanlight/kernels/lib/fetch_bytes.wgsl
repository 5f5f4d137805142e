// As fetch.wgsl, of formats in whose blocks fields may start and end at odd bytes.
fn fetch_byte(p: u32, u: u32) -> u32 {
    let unit = params[p + 1u];
    let block = u / unit;
    let within = u % unit;
    let row = block / params[2];
    if (within >= params[p + 3u] || row >= params[0]) { return 0u; }
    let at = (source_row(row) * params[2] + block % params[2]) * params[3] + params[p + 2u] + within;
    return (staging[at / 4u] >> ((at % 4u) * 8u)) & 0xffu;
}
fn fetch(p: u32, u: u32) -> u32 { return fetch_byte(p, 2u * u) | (fetch_byte(p, 2u * u + 1u) << 8u); }
