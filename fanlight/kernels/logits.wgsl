var<workgroup> best: array<Best, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let b = group.y;
    if (b >= inputs[1]) { return; }
    let slot = slot_of(b);
    let repetition = repetition_of(b);
    let frequency = frequency_of(b);
    let presence = presence_of(b);
    let temperature = temperature_of(b);
    let penalized = repetition != 1.0 || frequency != 0.0 || presence != 0.0;
    let biased = has_bias(b);
    let constrained = grammar_of(b) != 0u;
    var tables = Tables();
    var start = Walk();
    if (constrained) {
        tables = tables_of(b);
        start = walk_of(slot);
    }
    var mine = Best(MASKED, group.x * PART);
    for (var i = thread; i < PART; i += WORKGROUP) {
        let token = group.x * PART + i;
        if (token >= V) { break; }
        var x = logits[b * V + token];
        if (biased) { x += logit_bias[slot * V + token]; }
        if (penalized) {
            let count = token_counts[slot * V + token];
            if (count != 0u) { x = select(x * repetition, x / repetition, x > 0.0); }
            let times = f32(count & 0x7fffffffu);
            x -= frequency * times + select(0.0, presence, times > 0.0);
        }
        if (temperature > 0.0) { x /= temperature; }
        if (constrained) { x = select(MASKED, max(x, LEAST), allows(tables, slot, start, token, may_end(b))); }
        if (penalized || biased || constrained || temperature > 0.0) { logits[b * V + token] = x; }
        mine = better(mine, Best(x, token));
    }
    best[thread] = mine;
    workgroupBarrier();
    for (var step = WORKGROUP / 2u; step > 0u; step /= 2u) {
        if (thread < step) { best[thread] = better(best[thread], best[thread + step]); }
        workgroupBarrier();
    }
    if (thread == 0u) { parts[b * PARTS + group.x] = best[0]; }
}
