const ONE = 1073741824.0;  // probability 1 in fixed point

var<workgroup> sums: array<f32, WORKGROUP>;
var<workgroup> histogram: array<atomic<u32>, 256>;
var<workgroup> chosen: vec2<u32>;  // a bin, and how much of what was wanted lies in it

// Floats in the order of these integers.
fn key_of(x: f32) -> u32 {
    let bits = bitcast<u32>(x);
    return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}

// Where the slot's grammar stands after the token.
fn advance(b: u32, token: u32) {
    let slot = slot_of(b);
    var w = walk_of(slot);
    if (!takes(tables_of(b), slot, &w, token)) { return; }
    let at = slot * STATE_WORDS;
    grammar_state[at] = w.state;
    grammar_state[at + 1u] = w.depth;
    while (w.depth > w.floor) {
        let level = taken(&w);
        grammar_state[at + 2u + w.depth] = level;
    }
}

fn total(thread: u32, mine: f32) -> f32 {
    workgroupBarrier();
    sums[thread] = mine;
    workgroupBarrier();
    for (var step = WORKGROUP / 2u; step > 0u; step /= 2u) {
        if (thread < step) { sums[thread] += sums[thread + step]; }
        workgroupBarrier();
    }
    return workgroupUniformLoad(&sums[0]);
}

// The largest key such that what has it or a larger one amounts to at least `wanted`. With scale 0 every logit counts 1, otherwise
// exp(logit - top) * scale, in fixed point, of those with keys from `least` on.
fn select_key(thread: u32, b: u32, amount: u32, least: u32, top: f32, scale: f32) -> u32 {
    var wanted = amount;
    var prefix = 0u;
    var mask = 0u;
    for (var round = 0u; round < 4u; round++) {
        let shift = 24u - 8u * round;
        atomicStore(&histogram[thread], 0u);
        workgroupBarrier();
        for (var i = thread; i < V; i += WORKGROUP) {
            let x = logits[b * V + i];
            let key = key_of(x);
            if ((key & mask) == prefix && key >= least) {
                let share = select(1u, u32(exp(x - top) * scale + 0.5), scale > 0.0);
                atomicAdd(&histogram[(key >> shift) & 255u], share);
            }
        }
        workgroupBarrier();
        if (thread == 0u) {
            var bin = 255u;
            var left = wanted;
            loop {
                let here = atomicLoad(&histogram[bin]);
                if (here >= left || bin == 0u) { break; }
                left -= here;
                bin -= 1u;
            }
            chosen = vec2<u32>(bin, left);
        }
        let found = workgroupUniformLoad(&chosen);
        prefix |= found.x << shift;
        mask |= 255u << shift;
        wanted = found.y;
    }
    return prefix;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let b = group.x;
    if (b >= inputs[1]) { return; }
    var mine = Best(MASKED, 0u);
    for (var i = thread; i < PARTS; i += WORKGROUP) { mine = better(mine, parts[b * PARTS + i]); }
    var winner = largest(thread, mine);
    let is_stuck = grammar_of(b) != 0u && winner.value <= MASKED;
    if (temperature_of(b) > 0.0 && !is_stuck) {
        let top = winner.value;
        var least = 0u;
        let top_k = top_k_of(b);
        if (top_k > 0u && top_k < V) { least = select_key(thread, b, top_k, 0u, 0.0, 0.0); }
        let top_p = top_p_of(b);
        if (top_p < 1.0) {
            var sum = 0.0;
            for (var i = thread; i < V; i += WORKGROUP) {
                let x = logits[b * V + i];
                if (key_of(x) >= least) { sum += exp(x - top); }
            }
            let scale = ONE / total(thread, sum);
            // Where the shares' rounding leaves them short of what is wanted, all are found, those below top_k's too.
            least = max(least, select_key(thread, b, max(1u, u32(ceil(top_p * ONE))), least, top, scale));
        }
        let min_p = min_p_of(b);
        let floor = select(MASKED, top + log(max(min_p, 1e-30)), min_p > 0.0);
        var h = mix(0x9e3779b9u ^ sample_u32(b, 3u));
        h = mix(h ^ sample_u32(b, 4u));
        h = mix(h ^ sample_u32(b, 5u));
        mine = Best(MASKED, winner.token);
        for (var i = thread; i < V; i += WORKGROUP) {
            let x = logits[b * V + i];
            if (key_of(x) >= least && x >= floor) { mine = better(mine, Best(x + gumbel(i, h), i)); }
        }
        winner = largest(thread, mine);
    }
    if (thread == 0u) {
        next_token[slot_of(b)] = winner.token;
        sampled[b] = select(winner.token, NO_TOKEN, is_stuck);
        if (grammar_of(b) != 0u && !is_stuck) { advance(b, winner.token); }
    }
}
