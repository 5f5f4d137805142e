// Gumbel noise: see sample.py.
const QUARTER = 0x40000000u;
const COARSE = 256u;
const UNIT = 2.3283064365386963e-10;  // 2^-32

fn mix(v: u32) -> u32 {
    var x = (v ^ (v >> 16u)) * 0x85ebca6bu;
    x = (x ^ (x >> 13u)) * 0xc2b2ae35u;
    return x ^ (x >> 16u);
}

// -log(1 - v) for v up to 1/4, as 2 atanh(v / (2 - v)). Near 1 WGSL's log may be off by 2^-21, however small the result.
fn small_exponential(v: f32) -> f32 {
    let s = v / (2.0 - v);
    let q = s * s;
    return 2.0 * s * (1.0 + q * (1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0))));
}

fn noise(word: u32, finer: u32) -> f32 {
    var exponential: f32;
    if (word < QUARTER) {
        let rest = select(0.5, (f32(finer) + 0.5) * UNIT, word < COARSE);
        exponential = small_exponential((f32(word) + rest) * UNIT);
    } else {
        exponential = -log((f32(~word) + 0.5) * UNIT);
    }
    return -log(exponential);
}

fn gumbel(token: u32, h: u32) -> f32 {
    let word = ~mix(token ^ h);
    var finer = 0u;
    if (word < COARSE) { finer = mix(token ^ mix(~h)); }
    return noise(word, finer);
}
