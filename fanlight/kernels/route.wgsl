// One workgroup a row. See route.py.
const PER_GROUP = EXPERTS / GROUPS;
const NOT_CHOSEN = -1.0e38;

struct Best {
    value: f32,
    index: u32,
}

var<workgroup> scores: array<f32, EXPERTS>;
var<workgroup> choice: array<f32, EXPERTS>;
var<workgroup> of_group: array<f32, GROUPS>;
var<workgroup> best: array<Best, WORKGROUP>;
var<workgroup> sums: array<f32, WORKGROUP>;
var<workgroup> shares: array<f32, TOP_K>;

fn better(a: Best, b: Best) -> Best {
    if (b.value > a.value || (b.value == a.value && b.index < a.index)) { return b; }
    return a;
}

// The best of what threads each found, told to all of them.
fn largest(thread: u32, mine: Best) -> Best {
    workgroupBarrier();
    best[thread] = mine;
    workgroupBarrier();
    for (var step = WORKGROUP / 2u; step > 0u; step /= 2u) {
        if (thread < step) { best[thread] = better(best[thread], best[thread + step]); }
        workgroupBarrier();
    }
    return workgroupUniformLoad(&best[0]);
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

fn softmax(row: u32, thread: u32) {
    var mine = Best(NOT_CHOSEN, 0u);
    for (var e = thread; e < EXPERTS; e += WORKGROUP) { mine = better(mine, Best(x[row * STRIDE + e], e)); }
    let top = largest(thread, mine).value;
    var sum = 0.0;
    for (var e = thread; e < EXPERTS; e += WORKGROUP) {
        scores[e] = exp(x[row * STRIDE + e] - top);
        sum += scores[e];
    }
    let all = total(thread, sum);
    for (var e = thread; e < EXPERTS; e += WORKGROUP) { scores[e] /= all; }
}

// What a group competes with.
fn group_score(group: u32) -> f32 {
    var first = NOT_CHOSEN;
    var second = NOT_CHOSEN;
    for (var e = group * PER_GROUP; e < (group + 1u) * PER_GROUP; e++) {
        second = max(second, min(first, choice[e]));
        first = max(first, choice[e]);
    }
    return select(first, first + second, HAS_BIAS && PER_GROUP > 1u);
}

// Only experts of the best groups stay to be chosen.
fn choose_groups(thread: u32) {
    for (var g = thread; g < GROUPS; g += WORKGROUP) { of_group[g] = group_score(g); }
    workgroupBarrier();
    for (var e = thread; e < EXPERTS; e += WORKGROUP) {
        let own = e / PER_GROUP;
        var before = 0u;
        for (var g = 0u; g < GROUPS; g++) {
            if (of_group[g] > of_group[own] || (of_group[g] == of_group[own] && g < own)) { before++; }
        }
        if (before >= TOP_GROUPS) { choice[e] = NOT_CHOSEN; }
    }
    workgroupBarrier();
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.x;
    if (IS_SOFTMAX) { softmax(row, thread); }
    for (var e = thread; e < EXPERTS; e += WORKGROUP) {
        if (!IS_SOFTMAX) { scores[e] = 1.0 / (1.0 + exp(-x[row * STRIDE + e])); }
        choice[e] = scores[e] + bias_of(e);
    }
    workgroupBarrier();
    if (GROUPS > 1u) { choose_groups(thread); }
    var sum = 0.0;
    for (var n = 0u; n < TOP_K; n++) {
        var mine = Best(2.0 * NOT_CHOSEN, 0u);
        for (var e = thread; e < EXPERTS; e += WORKGROUP) { mine = better(mine, Best(choice[e], e)); }
        let found = largest(thread, mine).index;
        sum += scores[found];
        if (thread == 0u) {
            choice[found] = 2.0 * NOT_CHOSEN;
            shares[n] = scores[found];
            y[row * 2u * TOP_K + n] = f32(found);
        }
    }
    let by = select(SCALE, SCALE / (sum + EPS), NORMALIZE);
    if (thread == 0u) {
        for (var n = 0u; n < TOP_K; n++) { y[(row * 2u + 1u) * TOP_K + n] = shares[n] * by; }
    }
}
