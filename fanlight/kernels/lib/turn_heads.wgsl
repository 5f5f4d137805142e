// 1/rms of heads, and their rotation. See rope_kv.py.

const ALL_HEADS = HEADS + 2u * KV_HEADS;

var<workgroup> partial: array<f32, HEADS_HERE * LANES>;

// 1/rms of each thread's head.
fn inverse_rms(row: u32, first: u32, thread: u32) -> f32 {
    var sum = 0.0;
    for (var i = thread % LANES * 4u; i < D; i += 4u * LANES) {
        let four = four_of(row, first + i);
        sum += dot(four, four);
    }
    partial[thread] = sum;
    workgroupBarrier();
    var total = 0.0;
    for (var i = 0u; i < LANES; i++) { total += partial[thread / LANES * LANES + i]; }
    return inverseSqrt(total / f32(D) + EPS);
}

// Elements i and i + 1 of a head of q or k.
fn turned(row: u32, i: u32, pair: vec2<f32>) -> vec2<f32> {
    if (ROTARY != D && i >= ROTARY) { return pair; }
    return turned_by(turn_at(row, i), pair);
}
fn turn_at(row: u32, i: u32) -> vec2<f32> {
    let pair = min(i, max(ROTARY, 2u) - 2u) / 2u;
    return cos_sin(f32(turn_of(row, pair)) * inv_freq[pair]) * ROPE_SCALE;
}
fn turned_by(t: vec2<f32>, pair: vec2<f32>) -> vec2<f32> {
    return vec2<f32>(pair.x * t.x - pair.y * t.y, pair.x * t.y + pair.y * t.x);
}
