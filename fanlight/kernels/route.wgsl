// One workgroup a row; a thread finds out how many scores are above those of its experts. See route.py.
const PER_GROUP = EXPERTS / GROUPS;
const NOT_CHOSEN = -3.0e38;

var<workgroup> scores: array<f32, EXPERTS>;
var<workgroup> choice: array<f32, EXPERTS>;
var<workgroup> of_group: array<f32, GROUPS>;
var<workgroup> partial: array<f32, WORKGROUP>;
var<workgroup> shares: array<f32, TOP_K>;

fn largest(thread: u32, mine: f32) -> f32 {
    partial[thread] = mine;
    workgroupBarrier();
    var top = partial[0];
    for (var i = 1u; i < WORKGROUP; i++) { top = max(top, partial[i]); }
    workgroupBarrier();
    return top;
}

fn total(thread: u32, mine: f32) -> f32 {
    partial[thread] = mine;
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < WORKGROUP; i++) { sum += partial[i]; }
    workgroupBarrier();
    return sum;
}

fn softmax(row: u32, thread: u32) {
    var mine = NOT_CHOSEN;
    for (var e = thread; e < EXPERTS; e += WORKGROUP) { mine = max(mine, x[row * STRIDE + e]); }
    let top = largest(thread, mine);
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

// How many are chosen before expert e: those that score more, and of equal ones the lower numbers.
fn rank_of(e: u32) -> u32 {
    let own = choice[e];
    var rank = 0u;
    for (var i = 0u; i < EXPERTS; i++) {
        let other = choice[i];
        rank += select(0u, 1u, other > own || (other == own && i < e));
    }
    return rank;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.x;
    if (thread < TOP_K) { shares[thread] = 0.0; }
    if (IS_SOFTMAX) { softmax(row, thread); }
    for (var e = thread; e < EXPERTS; e += WORKGROUP) {
        if (!IS_SOFTMAX) { scores[e] = 1.0 / (1.0 + exp(-x[row * STRIDE + e])); }
        choice[e] = scores[e] + bias_of(e);
    }
    workgroupBarrier();
    if (GROUPS > 1u) { choose_groups(thread); }
    if (thread < TOP_K) { y[row * 2u * TOP_K + thread] = 0.0; } // where no score is a number, no expert has a rank
    storageBarrier();
    workgroupBarrier();
    for (var e = thread; e < EXPERTS; e += WORKGROUP) {
        let rank = rank_of(e);
        if (rank < TOP_K) {
            shares[rank] = scores[e];
            y[row * 2u * TOP_K + rank] = f32(e);
        }
    }
    workgroupBarrier();
    if (thread >= TOP_K) { return; }
    var sum = 0.0;
    for (var n = 0u; n < TOP_K; n++) { sum += shares[n]; }
    y[(row * 2u + 1u) * TOP_K + thread] = shares[thread] * select(SCALE, SCALE / (sum + EPS), NORMALIZE);
}
