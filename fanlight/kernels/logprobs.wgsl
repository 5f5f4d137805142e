const ROW = 1u + TOP;  // numbers of a sample: rank and tokens, then log-probabilities

var<workgroup> sums_of: array<f32, WORKGROUP>;
var<workgroup> counts: array<u32, WORKGROUP>;

// log of the sum of exp(x - top) over all logits.
fn log_total(thread: u32, b: u32, top: f32) -> f32 {
    var sum = 0.0;
    for (var i = thread; i < PARTS; i += WORKGROUP) {
        sum += sums[2u * (b * PARTS + i) + 1u] * exp(sums[2u * (b * PARTS + i)] - top);
    }
    sums_of[thread] = sum;
    workgroupBarrier();
    for (var step = WORKGROUP / 2u; step > 0u; step /= 2u) {
        if (thread < step) { sums_of[thread] += sums_of[thread + step]; }
        workgroupBarrier();
    }
    return log(workgroupUniformLoad(&sums_of[0]));
}

// How many logits are larger than x.
fn num_above(thread: u32, b: u32, x: f32) -> u32 {
    var count = 0u;
    for (var i = thread; i < V; i += WORKGROUP) { count += select(0u, 1u, kept[b * V + i] > x); }
    counts[thread] = count;
    workgroupBarrier();
    for (var step = WORKGROUP / 2u; step > 0u; step /= 2u) {
        if (thread < step) { counts[thread] += counts[thread + step]; }
        workgroupBarrier();
    }
    return workgroupUniformLoad(&counts[0]);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let b = group.x;
    if (b >= inputs[1]) { return; }
    let scored = scored_of(b);
    let token = min(select(sampled[b], scored - 1u, scored > 0u), V - 1u);
    let x = kept[b * V + token];
    let at = b * 2u * ROW;
    var last = Best(3.4e38, 0u);
    var top = 0.0;
    var total = 0.0;
    for (var n = 0u; n < TOP; n++) {
        var mine = NONE;
        for (var i = thread; i < PARTS * TOP; i += WORKGROUP) {
            let at_candidate = 2u * (b * PARTS * TOP + i);
            let here = Best(bitcast<f32>(candidates[at_candidate]), candidates[at_candidate + 1u]);
            if (here.token != NONE.token && is_after(here, last)) { mine = better(mine, here); }
        }
        last = largest(thread, mine);
        if (n == 0u) {
            top = last.value;
            total = log_total(thread, b, top);
        }
        if (thread == 0u) {
            let is_one = last.token != NONE.token;
            logprobs[at + 1u + n] = select(-1.0, f32(last.token), is_one);
            logprobs[at + ROW + 1u + n] = select(0.0, last.value - top - total, is_one);
        }
    }
    let above = num_above(thread, b, x);
    if (thread == 0u) {
        logprobs[at] = f32(1u + above);
        logprobs[at + ROW] = x - top - total;
    }
}
