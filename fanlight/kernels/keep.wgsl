// Two neighbouring elements of a row's keys, then values, a thread. See keep.py.
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.y;
    let position = position_of(row);
    if (row >= inputs[0] || id.x >= CHANNELS || position >= PLACES) { return; }
    let which = 2u * id.x / CHANNELS;
    let channel = 2u * id.x % CHANNELS;
    var pair: vec2<f32>;
    if (which == 0u) {
        let at = row * K_STRIDE + K_OFFSET + channel;
        pair = vec2<f32>(k[at], k[at + 1u]);
    } else {
        let at = row * V_STRIDE + V_OFFSET + channel;
        pair = vec2<f32>(v[at], v[at + 1u]);
    }
    let place = ((slot_of(row) * 2u + which) * PLACES + position) * CHANNELS + channel;
    state[place / 2u] = pack2x16float(clamp(pair, vec2<f32>(-LARGEST), vec2<f32>(LARGEST)));
}
