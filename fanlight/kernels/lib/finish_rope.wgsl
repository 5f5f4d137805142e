// Rows are q's heads, then k's, then v's; a pair is a rotary pair. q is turned and scaled, k turned and appended to the cache, v
// appended. See rope_kv.py, which does the same where this cannot.
const PAIRS = N / 2u;
struct Early {
    turn: vec2<f32>,
    first: Extras,
    second: Extras,
    element: u32, // of the cache
}
fn row_of(pair: u32, which: u32) -> u32 { return min(pair * 2u + which, N - 1u); }
fn prepare(pair: u32, column: u32) -> Early {
    let row = ROW_OFFSET + min(pair, PAIRS - 1u) * 2u;
    let head = row / D;
    let position = position_of(column);
    let slot = slot_of(column);
    var early = Early(vec2<f32>(1.0, 0.0), extras_of(column, row), extras_of(column, row + 1u), 0u);
    if (head < HEADS + KV_HEADS && (ROTARY == D || row % D < ROTARY)) {
        early.turn = cos_sin(f32(turn_of(column, row % D / 2u)) * inv_freq[row % D / 2u]) * ROPE_SCALE;
    }
    if (head >= HEADS) {
        let which = (head - HEADS) / KV_HEADS;
        early.element = kv_element(which, slot, position, (head - HEADS) % KV_HEADS) + row % D;
    }
    return early;
}
fn finish(pair: u32, column: u32, value: vec2<f32>, early: Early, is_last: bool, thread: u32) {
    if (!is_last || pair >= PAIRS || column >= inputs[0]) { return; }
    let row = ROW_OFFSET + pair * 2u;
    let v = vec2<f32>(epilogue(value.x, early.first), epilogue(value.y, early.second));
    let turned = vec2<f32>(v.x * early.turn.x - v.y * early.turn.y, v.x * early.turn.y + v.y * early.turn.x);
    if (row < HEADS * D) {
        q[column * HEADS * D + row] = turned.x * SCALE;
        q[column * HEADS * D + row + 1u] = turned.y * SCALE;
    } else {
        kv_write(early.element, turned);
    }
}
