// What rope_kv.wgsl does, by each workgroup of attention_decode.wgsl for the heads that it reads. LANES threads have a head: first
// those of q, then that of k, then that of v. See attention_append.py.
const OWN = true;
const ROUNDS = (D + 4u * LANES - 1u) / (4u * LANES);

var<workgroup> own_kv: array<vec4<f32>, D / 2u>; // k, then v, as the cache keeps them
var<workgroup> own_eights: array<f32, SUB * D8>; // of each query: eight elements' share of the own key's score

fn own_eight(h: u32, i: u32) -> f32 { return own_eights[h * D8 + i]; }
fn own_value(i: u32) -> vec4<f32> { return own_kv[D / 4u + i]; }

fn prepare(row: u32, head0: u32, kv_head: u32, thread: u32) {
    let which = thread / LANES; // 0 to SUB - 1: q; SUB: k; SUB + 1: v
    let head = select(HEADS + (min(which, SUB + 1u) - SUB) * KV_HEADS + kv_head, head0 + which, which < SUB);
    // All that a head needs is on its way before its sum of squares is waited for.
    var fours: array<vec4<f32>, ROUNDS>;
    var weights: array<vec4<f32>, ROUNDS>;
    var turns: array<vec4<f32>, ROUNDS>;
    for (var n = 0u; n < ROUNDS; n++) {
        let i = min((n * LANES + thread % LANES) * 4u, D - 4u);
        fours[n] = four_of(row, head * D + i);
        if (HEAD_NORM) { weights[n] = vec4<f32>(head_weight(head, i), head_weight(head, i + 2u)); }
        turns[n] = vec4<f32>(turn_at(row, i), turn_at(row, i + 2u));
    }
    var scale = 1.0;
    if (HEAD_NORM) { scale = inverse_rms(row, head * D, thread); }
    for (var n = 0u; n < ROUNDS; n++) {
        let i = (n * LANES + thread % LANES) * 4u;
        if (i >= D) { break; }
        var four = fours[n];
        if (HEAD_NORM && which <= SUB) {
            four = vec4<f32>(head_normed(four.xy * scale, weights[n].xy), head_normed(four.zw * scale, weights[n].zw));
        }
        if (which <= SUB && i < ROTARY) { four = vec4<f32>(turned_by(turns[n].xy, four.xy), four.zw); }
        if (which <= SUB && i + 2u < ROTARY) { four = vec4<f32>(four.xy, turned_by(turns[n].zw, four.zw)); }
        if (which < SUB) {
            qs[which * D8 * 2u + i / 4u] = four * SCALE;
        } else if (which < SUB + 2u) {
            own_kv[(which - SUB) * (D / 4u) + i / 4u] = kept(four);
        }
    }
    workgroupBarrier();
    if (thread >= SUB * D8) { return; }
    let at = thread % D8 * 2u;
    own_eights[thread] = dot(own_kv[at], qs[thread * 2u]) + dot(own_kv[at + 1u], qs[thread * 2u + 1u]);
}

fn keep_own(slot: u32, position: u32, kv_head: u32, thread: u32) {
    let which = thread / D8;
    let d = thread % D8;
    if (which > 1u) { return; }
    let at = kv_element(which, slot, position, kv_head) + 8u * d;
    kv8_write(at, own_kv[which * (D / 4u) + 2u * d], own_kv[which * (D / 4u) + 2u * d + 1u]);
}
