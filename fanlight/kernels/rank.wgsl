const EACH = PART / WORKGROUP;

var<workgroup> sums_of: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let b = group.y;
    if (b >= inputs[1] || logprobs_of_draw(b) != (AFTER == 1u)) { return; }
    let part = b * PARTS + group.x;
    var values: array<f32, EACH>;
    for (var i = 0u; i < EACH; i++) {
        let token = group.x * PART + i * WORKGROUP + thread;
        values[i] = -3.4e38;
        if (token < V) {
            values[i] = logits[b * V + token];
            kept[b * V + token] = values[i];
        }
    }
    var last = Best(3.4e38, 0u);
    var top = 0.0;
    for (var n = 0u; n < TOP; n++) {
        var mine = NONE;
        for (var i = 0u; i < EACH; i++) {
            let token = group.x * PART + i * WORKGROUP + thread;
            let here = Best(values[i], token);
            if (token < V && is_after(here, last)) { mine = better(mine, here); }
        }
        last = largest(thread, mine);
        if (n == 0u) { top = last.value; }
        if (thread == 0u) {
            candidates[2u * (part * TOP + n)] = bitcast<u32>(last.value);
            candidates[2u * (part * TOP + n) + 1u] = last.token;
        }
    }
    var sum = 0.0;
    for (var i = 0u; i < EACH; i++) {
        if (group.x * PART + i * WORKGROUP + thread < V) { sum += exp(values[i] - top); }
    }
    sums_of[thread] = sum;
    workgroupBarrier();
    for (var step = WORKGROUP / 2u; step > 0u; step /= 2u) {
        if (thread < step) { sums_of[thread] += sums_of[thread + step]; }
        workgroupBarrier();
    }
    if (thread == 0u) {
        sums[2u * part] = top;
        sums[2u * part + 1u] = sums_of[0];
    }
}
