// One workgroup a row; a thread finds out how many scores are above those of its experts. Experts lie in quads. See route.py.
const PER_GROUP = EXPERTS / GROUPS;
const QUADS = (EXPERTS + 3u) / 4u;
const NOT_CHOSEN = -3.0e38;
const ONE_BY_ONE = vec4<u32>(0u, 1u, 2u, 3u);

var<workgroup> scores: array<vec4<f32>, QUADS>;
var<workgroup> choice: array<vec4<f32>, QUADS>;
var<workgroup> of_group: array<f32, GROUPS>;
var<workgroup> partial: array<f32, WORKGROUP>;
var<workgroup> shares: array<f32, TOP_K>;

fn is_expert(quad: u32) -> vec4<bool> { return (4u * quad + ONE_BY_ONE) < vec4<u32>(EXPERTS); }

fn logits_of(row: u32, quad: u32) -> vec4<f32> {
    let at = row * STRIDE + 4u * quad;
    let most = row * STRIDE + EXPERTS - 1u;
    let read = vec4<f32>(x[at], x[min(at + 1u, most)], x[min(at + 2u, most)], x[min(at + 3u, most)]);
    return select(vec4<f32>(NOT_CHOSEN), read, is_expert(quad));
}

fn bias_of(quad: u32) -> vec4<f32> {
    let at = 4u * quad;
    let most = EXPERTS - 1u;
    return vec4<f32>(bias_at(at), bias_at(min(at + 1u, most)), bias_at(min(at + 2u, most)), bias_at(min(at + 3u, most)));
}

fn largest(thread: u32, mine: f32) -> f32 {
    partial[thread] = mine;
    for (var n = WORKGROUP / 2u; n > 0u; n /= 2u) {
        workgroupBarrier();
        if (thread < n) { partial[thread] = max(partial[thread], partial[thread + n]); }
    }
    workgroupBarrier();
    let top = partial[0];
    workgroupBarrier();
    return top;
}

fn total(thread: u32, mine: f32) -> f32 {
    partial[thread] = mine;
    for (var n = WORKGROUP / 2u; n > 0u; n /= 2u) {
        workgroupBarrier();
        if (thread < n) { partial[thread] += partial[thread + n]; }
    }
    workgroupBarrier();
    return partial[0];
}

fn softmax(row: u32, thread: u32) {
    var mine = vec4<f32>(NOT_CHOSEN);
    for (var q = thread; q < QUADS; q += WORKGROUP) { mine = max(mine, logits_of(row, q)); }
    let top = largest(thread, max(max(mine.x, mine.y), max(mine.z, mine.w)));
    var sum = 0.0;
    for (var q = thread; q < QUADS; q += WORKGROUP) {
        scores[q] = select(vec4<f32>(0.0), exp(logits_of(row, q) - top), is_expert(q));
        sum += dot(scores[q], vec4<f32>(1.0));
    }
    let all = total(thread, sum);
    for (var q = thread; q < QUADS; q += WORKGROUP) { scores[q] /= all; }
}

// What a group competes with.
fn group_score(group: u32) -> f32 {
    var first = NOT_CHOSEN;
    var second = NOT_CHOSEN;
    for (var e = group * PER_GROUP; e < (group + 1u) * PER_GROUP; e++) {
        let one = choice[e / 4u][e % 4u];
        second = max(second, min(first, one));
        first = max(first, one);
    }
    return select(first, first + second, HAS_BIAS && PER_GROUP > 1u);
}

fn is_left(group: u32) -> bool {
    var before = 0u;
    for (var g = 0u; g < GROUPS; g++) {
        if (of_group[g] > of_group[group] || (of_group[g] == of_group[group] && g < group)) { before++; }
    }
    return before < TOP_GROUPS;
}

// Only experts of the best groups stay to be chosen.
fn choose_groups(thread: u32) {
    for (var g = thread; g < GROUPS; g += WORKGROUP) { of_group[g] = group_score(g); }
    workgroupBarrier();
    for (var q = thread; q < QUADS; q += WORKGROUP) {
        var left = choice[q];
        for (var i = 0u; i < 4u; i++) {
            if (!is_left(min((4u * q + i) / PER_GROUP, GROUPS - 1u))) { left[i] = NOT_CHOSEN; }
        }
        choice[q] = left;
    }
    workgroupBarrier();
}

// How many are chosen before expert e: those that score more, and of equal ones the lower numbers.
fn rank_of(e: u32) -> u32 {
    let own = vec4<f32>(choice[e / 4u][e % 4u]);
    var ranks = vec4<u32>(0u);
    for (var q = 0u; q < QUADS; q++) {
        let others = choice[q];
        let is_before = (4u * q + ONE_BY_ONE) < vec4<u32>(e);
        ranks += select(vec4<u32>(0u), vec4<u32>(1u), (others > own) | ((others == own) & is_before));
    }
    return ranks.x + ranks.y + ranks.z + ranks.w;
}

// A number for each expert: the larger, the sooner it is chosen, and what its share is made of.
fn score(row: u32, thread: u32) {
    if (IS_SOFTMAX && !IS_BY_LOGITS) { softmax(row, thread); }
    for (var q = thread; q < QUADS; q += WORKGROUP) {
        if (IS_BY_LOGITS) { scores[q] = logits_of(row, q); }
        if (!IS_SOFTMAX) { scores[q] = 1.0 / (1.0 + exp(-logits_of(row, q))); }
        choice[q] = select(vec4<f32>(NOT_CHOSEN), scores[q] + bias_of(q), is_expert(q));
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.x;
    if (thread < TOP_K) { shares[thread] = 0.0; }
    score(row, thread);
    workgroupBarrier();
    if (GROUPS > 1u) { choose_groups(thread); }
    if (thread < TOP_K) { y[row * 2u * TOP_K + thread] = 0.0; } // where no score is a number, no expert has a rank
    storageBarrier();
    workgroupBarrier();
    for (var e = thread; e < EXPERTS; e += WORKGROUP) {
        let rank = rank_of(e);
        if (rank < TOP_K) {
            shares[rank] = scores[e / 4u][e % 4u];
            y[row * 2u * TOP_K + rank] = f32(e);
        }
    }
    workgroupBarrier();
    if (thread >= TOP_K) { return; }
    var own = shares[thread];
    var sum = 0.0;
    if (IS_BY_LOGITS) {
        own = exp(own - shares[0]);
        for (var n = 0u; n < TOP_K; n++) { sum += exp(shares[n] - shares[0]); }
    } else {
        for (var n = 0u; n < TOP_K; n++) { sum += shares[n]; }
    }
    y[(row * 2u + 1u) * TOP_K + thread] = own * select(SCALE, SCALE / (sum + EPS), NORMALIZE);
}
