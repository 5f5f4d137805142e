// A sample a workgroup: which tokens may come, which of text and of timestamps are likelier, then all logits. See timestamps.py.
const WORDS = (V + 31u) / 32u;
const STAMPS_AT = NO_STAMPS + 1u;

var<workgroup> text_tops: array<f32, WORKGROUP>;
var<workgroup> stamp_tops: array<f32, WORKGROUP>;
var<workgroup> totals: array<f32, WORKGROUP>;

struct Rules {
    is_first: bool,
    is_language: bool,
    writes: bool,
    text_at: u32, // tokens of text below are refused
    stamps_from: u32,
    stamps_end: u32,
}

fn is_refused(plane: u32, token: u32) -> bool {
    return ((refused[plane * WORDS + token / 32u] >> (token % 32u)) & 1u) != 0u;
}

fn may_come(rules: Rules, token: u32) -> bool {
    if (rules.is_language) { return !is_refused(2u, token); }
    if (is_refused(0u, token) || (rules.is_first && is_refused(1u, token))) { return false; }
    if (!rules.writes) { return true; }
    if (token >= STAMPS_AT) { return token >= rules.stamps_from && token < rules.stamps_end; }
    return token >= rules.text_at && token != NO_STAMPS;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let b = group.x;
    if (b >= inputs[1]) { return; }
    let row = min(inputs[SAMPLES_AT + 16u * b], inputs[0] - 1u);
    let slot = inputs[SAMPLES_AT + 16u * b + 1u];
    let from_x = b * X_STRIDE + X_OFFSET;
    if (inputs[SAMPLES_AT + 16u * b + 15u] != 0u) {
        for (var i = thread; i < V; i += WORKGROUP) { y[b * Y_STRIDE + i] = x[from_x + i]; }
        return;
    }
    var token = token_of(row);
    if (token >= 0x80000000u) { token = next_token[slot]; }
    let is_first = !is_output(row);
    let writes = select(state[4u * slot] != 0u, token != NO_STAMPS, is_first);
    let is_stamp = !is_first && token >= STAMPS_AT;
    let follows_stamp = is_first || state[4u * slot + 1u] != 0u;
    let last = select(select(state[4u * slot + 2u], 0u, is_first), token, is_stamp);

    var rules = Rules(is_first, token == START, writes, 0u, STAMPS_AT, V);
    if (is_stamp) {
        if (follows_stamp) { rules.stamps_end = STAMPS_AT; } else { rules.text_at = END; }
    }
    if (last != 0u) { rules.stamps_from = select(last + 1u, last, is_stamp && !follows_stamp); }
    if (is_first) {
        rules.text_at = STAMPS_AT;
        rules.stamps_end = FIRST_STAMPS_END;
    }
    var text_top = MASKED;
    var stamp_top = MASKED;
    for (var i = thread; i < V; i += WORKGROUP) {
        if (!may_come(rules, i)) { continue; }
        if (i >= STAMPS_AT) { stamp_top = max(stamp_top, x[from_x + i]); } else { text_top = max(text_top, x[from_x + i]); }
    }
    text_tops[thread] = text_top;
    stamp_tops[thread] = stamp_top;
    workgroupBarrier();
    for (var step = WORKGROUP / 2u; step > 0u; step /= 2u) {
        if (thread < step) {
            text_tops[thread] = max(text_tops[thread], text_tops[thread + step]);
            stamp_tops[thread] = max(stamp_tops[thread], stamp_tops[thread + step]);
        }
        workgroupBarrier();
    }
    text_top = text_tops[0];
    stamp_top = stamp_tops[0];
    var total = 0.0;
    for (var i = STAMPS_AT + thread; i < V; i += WORKGROUP) {
        if (may_come(rules, i)) { total += exp(x[from_x + i] - stamp_top); }
    }
    totals[thread] = total;
    workgroupBarrier();
    for (var step = WORKGROUP / 2u; step > 0u; step /= 2u) {
        if (thread < step) { totals[thread] += totals[thread + step]; }
        workgroupBarrier();
    }
    let must_stamp = writes && !rules.is_language && totals[0] > 0.0 && stamp_top + log(totals[0]) > text_top;
    for (var i = thread; i < V; i += WORKGROUP) {
        let comes = may_come(rules, i) && !(must_stamp && i < STAMPS_AT);
        y[b * Y_STRIDE + i] = select(MASKED, x[from_x + i], comes);
    }
    if (thread == 0u) {
        state[4u * slot] = u32(writes);
        state[4u * slot + 1u] = u32(is_first || is_stamp);
        state[4u * slot + 2u] = last;
    }
}
