// Which experts a row of logits meets, found out by a workgroup of WORKGROUP threads. Experts lie in quads, as integers that are in
// order as their scores are: a thread finds out how many are above those of its experts. See route.py.
const PER_GROUP = EXPERTS / ROUTE_GROUPS;
const QUADS = (EXPERTS + 3u) / 4u;
const LOWEST = -3.0e38;
const ONE_BY_ONE = vec4<u32>(0u, 1u, 2u, 3u);

var<workgroup> keys: array<vec4<u32>, QUADS>; // 0 is not chosen
var<workgroup> of_group: array<f32, ROUTE_GROUPS>;
var<workgroup> halving: array<f32, WORKGROUP>;
var<workgroup> chosen: array<u32, TOP_K>; // the best first
var<workgroup> shares: array<f32, TOP_K>;

fn is_expert(quad: u32) -> vec4<bool> { return (4u * quad + ONE_BY_ONE) < vec4<u32>(EXPERTS); }

fn logits_of(row: u32, quad: u32) -> vec4<f32> {
    let at = row * ROUTE_STRIDE + 4u * quad;
    let most = row * ROUTE_STRIDE + EXPERTS - 1u;
    let read = vec4<f32>(logits[at], logits[min(at + 1u, most)], logits[min(at + 2u, most)], logits[min(at + 3u, most)]);
    return select(vec4<f32>(LOWEST), read, is_expert(quad));
}

fn bias_of(quad: u32) -> vec4<f32> {
    let at = 4u * quad;
    let most = EXPERTS - 1u;
    return vec4<f32>(bias_at(at), bias_at(min(at + 1u, most)), bias_at(min(at + 2u, most)), bias_at(min(at + 3u, most)));
}

// Zeros of both signs are equal.
fn keys_of(v: vec4<f32>) -> vec4<u32> {
    let bits = bitcast<vec4<u32>>(select(v, vec4<f32>(0.0), v == vec4<f32>(0.0)));
    return select(bits | vec4<u32>(0x80000000u), ~bits, bits >= vec4<u32>(0x80000000u));
}
fn of_key(key: u32) -> f32 { return bitcast<f32>(select(~key, key & 0x7fffffffu, key >= 0x80000000u)); }

fn largest(thread: u32, mine: f32) -> f32 {
    halving[thread] = mine;
    for (var n = WORKGROUP / 2u; n > 0u; n /= 2u) {
        workgroupBarrier();
        if (thread < n) { halving[thread] = max(halving[thread], halving[thread + n]); }
    }
    workgroupBarrier();
    let top = halving[0];
    workgroupBarrier();
    return top;
}

fn total(thread: u32, mine: f32) -> f32 {
    halving[thread] = mine;
    for (var n = WORKGROUP / 2u; n > 0u; n /= 2u) {
        workgroupBarrier();
        if (thread < n) { halving[thread] += halving[thread + n]; }
    }
    workgroupBarrier();
    let sum = halving[0];
    workgroupBarrier();
    return sum;
}

// Of all logits, where they become shares together: the largest, and the sum of what they are then.
fn softmax_of(row: u32, thread: u32) -> vec2<f32> {
    var mine = vec4<f32>(LOWEST);
    for (var q = thread; q < QUADS; q += WORKGROUP) { mine = max(mine, logits_of(row, q)); }
    let top = largest(thread, max(max(mine.x, mine.y), max(mine.z, mine.w)));
    var sum = 0.0;
    for (var q = thread; q < QUADS; q += WORKGROUP) {
        sum += dot(select(vec4<f32>(0.0), exp(logits_of(row, q) - top), is_expert(q)), vec4<f32>(1.0));
    }
    return vec2<f32>(top, total(thread, sum));
}

fn scores_of(v: vec4<f32>, all: vec2<f32>) -> vec4<f32> {
    if (IS_SOFTMAX) { return exp(v - all.x) / all.y; }
    return 1.0 / (1.0 + exp(-v));
}

// What a group competes with.
fn group_score(group: u32) -> f32 {
    var first = LOWEST;
    var second = LOWEST;
    for (var e = group * PER_GROUP; e < (group + 1u) * PER_GROUP; e++) {
        let one = of_key(keys[e / 4u][e % 4u]);
        second = max(second, min(first, one));
        first = max(first, one);
    }
    return select(first, first + second, HAS_BIAS && PER_GROUP > 1u);
}

fn is_left(group: u32) -> bool {
    var before = 0u;
    for (var g = 0u; g < ROUTE_GROUPS; g++) {
        if (of_group[g] > of_group[group] || (of_group[g] == of_group[group] && g < group)) { before++; }
    }
    return before < ROUTE_TOP_GROUPS;
}

// Only experts of the best groups stay to be chosen.
fn choose_groups(thread: u32) {
    for (var g = thread; g < ROUTE_GROUPS; g += WORKGROUP) { of_group[g] = group_score(g); }
    workgroupBarrier();
    for (var q = thread; q < QUADS; q += WORKGROUP) {
        var left = keys[q];
        for (var i = 0u; i < 4u; i++) {
            if (!is_left(min((4u * q + i) / PER_GROUP, ROUTE_GROUPS - 1u))) { left[i] = 0u; }
        }
        keys[q] = left;
    }
    workgroupBarrier();
}

// How many are chosen before expert e: those of larger keys, and of equal ones the lower numbers.
fn rank_of(e: u32) -> u32 {
    let quad = keys[e / 4u];
    let own = quad[e % 4u];
    let is_before = (quad == vec4<u32>(own)) & (ONE_BY_ONE < vec4<u32>(e % 4u));
    var ranks = select(vec4<u32>(0u), vec4<u32>(1u), is_before);
    for (var q = 0u; q < QUADS; q++) {
        let most = vec4<u32>(select(own, own - 1u, q < e / 4u));
        ranks += select(vec4<u32>(0u), vec4<u32>(1u), keys[q] > most);
    }
    return ranks.x + ranks.y + ranks.z + ranks.w;
}

// Leaves the row's experts in `chosen`. Scores are in the order of logits, but where each has a bias of its own.
fn choose(row: u32, thread: u32) {
    var all = vec2<f32>(0.0, 1.0);
    if (HAS_BIAS && IS_SOFTMAX) { all = softmax_of(row, thread); }
    for (var q = thread; q < QUADS; q += WORKGROUP) {
        var v = logits_of(row, q);
        if (HAS_BIAS) { v = scores_of(v, all) + bias_of(q); }
        keys[q] = select(vec4<u32>(0u), keys_of(v), is_expert(q));
    }
    if (thread < TOP_K) { chosen[thread] = 0u; } // where a logit is no number, a rank may be nobody's
    workgroupBarrier();
    if (ROUTE_GROUPS > 1u) { choose_groups(thread); }
    for (var e = thread; e < EXPERTS; e += WORKGROUP) {
        let rank = rank_of(e);
        if (rank < TOP_K && keys[e / 4u][e % 4u] > 0u) { chosen[rank] = e; }
    }
    workgroupBarrier();
}

// Leaves the row's line of `route`: what was chosen, and the shares.
fn write_route(row: u32, thread: u32) {
    var all = vec2<f32>(0.0, 1.0);
    if (IS_BY_LOGITS) { all.x = logits[row * ROUTE_STRIDE + chosen[0]]; }
    if (IS_SOFTMAX && !IS_BY_LOGITS) { all = softmax_of(row, thread); }
    if (thread < TOP_K) { shares[thread] = scores_of(vec4<f32>(logits[row * ROUTE_STRIDE + chosen[thread]]), all).x; }
    workgroupBarrier();
    if (thread < TOP_K) {
        var sum = ROUTE_EPS;
        if (NORMALIZE_SHARES) {
            for (var n = 0u; n < TOP_K; n++) { sum += shares[n]; }
        } else {
            sum = 1.0;
        }
        route[row * 2u * TOP_K + thread] = f32(chosen[thread]);
        route[(row * 2u + 1u) * TOP_K + thread] = shares[thread] * gain_at(chosen[thread]) * (ROUTE_SCALE / sum);
    }
}
