// A rotary pair a thread. See rope.py.
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.y;
    let n = 2u * id.x;
    if (row >= inputs[0] || n >= HEADS * D) { return; }
    let at = row * X_STRIDE + X_OFFSET + n;
    var pair = vec2<f32>(x[at], x[at + 1u]);
    let position = position_of(row);
    if (n % D < ROTARY) {
        let t = cos_sin(f32(turn_of(row, n % D / 2u)) * inv_freq[n % D / 2u]) * SCALE;
        pair = vec2<f32>(pair.x * t.x - pair.y * t.y, pair.x * t.y + pair.y * t.x);
    }
    if (GROWTH != 0.0) { pair *= 1.0 + GROWTH * log(f32(1u + position / PERIOD)); }
    y[row * Y_STRIDE + n] = pair.x;
    y[row * Y_STRIDE + n + 1u] = pair.y;
}
