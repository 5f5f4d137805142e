// One row against its sequence's cache, for SUB query heads that share a key head, and one of SPLITS parts of the positions.
// First a thread per position (or LPP threads) scores it; then the threads form teams of one thread per eight elements of a
// value, and each team adds up its share of the positions with its own running maximum. Teams are joined at the end. Where the row's
// own key and value are not in the cache yet (OWN), they lie in workgroup memory: the last of the last part that has any.

const GROUP = HEADS / KV_HEADS;
const PARTS = GROUP / SUB; // workgroups that share a key head
const LPP = WORKGROUP / TILE;
const D8 = D / 8u;
const TEAMS = WORKGROUP / D8;
const PER = (TILE + TEAMS - 1u) / TEAMS; // positions of a tile that a team takes
const NOTHING = -1e30;

var<workgroup> qs: array<vec4<f32>, SUB * D8 * 2u>;
var<workgroup> scores: array<f32, LPP * SUB * TILE>;
var<workgroup> places: array<u32, TILE>;
var<workgroup> sums: array<vec4<f32>, TEAMS * SUB * D8 * 2u>;
var<workgroup> states: array<vec2<f32>, TEAMS * SUB>; // (maximum, sum of weights)

// Where a tile's scores are of: its first query head, its first position, and the row's own position.
struct Place {
    head: u32,
    tile: u32,
    own: u32,
}

fn scored(s: f32, h: u32, p: u32, place: Place) -> f32 {
    return score_of(s, slope_of(place.head + h), f32(place.tile + p), f32(place.own));
}

fn score_at(h: u32, p: u32, place: Place) -> f32 {
    var total = 0.0;
    for (var i = 0u; i < LPP; i++) { total += scores[(i * SUB + h) * TILE + p]; }
    if (LPP > 1u) { return scored(total, h, p, place); }
    return total;
}

fn score(thread: u32, slot: u32, kv_head: u32, place: Place, stop: u32) {
    let p = thread % TILE;
    let part = thread / TILE;
    let at = kv_element(0u, slot, min(place.tile + p, stop - 1u), kv_head);
    if (part == 0u) { places[p] = at; }
    var dots: array<f32, SUB>;
    for (var i = 0u; i < D8 / LPP; i++) {
        let d = part * (D8 / LPP) + i;
        let key = kv8(at + 8u * d);
        for (var h = 0u; h < SUB; h++) {
            dots[h] += dot(key[0], qs[(h * D8 + d) * 2u]) + dot(key[1], qs[(h * D8 + d) * 2u + 1u]);
        }
    }
    if (OWN && place.tile + p == place.own) {
        for (var h = 0u; h < SUB; h++) { dots[h] = own_dot(h, part * (D8 / LPP)); }
    }
    for (var h = 0u; h < SUB; h++) {
        if (LPP == 1u) { dots[h] = scored(dots[h], h, p, place); }
        scores[(part * SUB + h) * TILE + p] = dots[h];
    }
}

// As `score` has it.
fn own_dot(h: u32, first: u32) -> f32 {
    var total = 0.0;
    for (var i = first; i < first + D8 / LPP; i++) { total += own_eight(h, i); }
    return total;
}

struct Team {
    top: array<f32, SUB>,
    total: array<f32, SUB>,
    sum: array<vec4<f32>, SUB * 2u>,
}

// Adds positions [first, last) of a tile to a team's sums; d is this thread's eight elements.
fn add_values(team: ptr<function, Team>, first: u32, last: u32, d: u32, place: Place) {
    if (first >= last) { return; }
    for (var h = 0u; h < SUB; h++) {
        var top = (*team).top[h];
        for (var p = first; p < last; p++) { top = max(top, score_at(h, p, place)); }
        let scale = exp((*team).top[h] - top);
        (*team).top[h] = top;
        (*team).total[h] *= scale;
        (*team).sum[2u * h] *= scale;
        (*team).sum[2u * h + 1u] *= scale;
    }
    let has_own = OWN && place.tile + last == place.own + 1u;
    let kept = last - select(0u, 1u, has_own);
    // A fixed number of values, so that their loads can be in flight together.
    if (!OWN || first < kept) {
        for (var i = 0u; i < PER; i++) {
            let p = min(first + i, kept - 1u);
            add_value(team, p, first + i < kept, kv8(places[p] + VALUES_AT + 8u * d), place);
        }
    }
    if (has_own) { add_value(team, kept, true, array<vec4<f32>, 2>(own_value(2u * d), own_value(2u * d + 1u)), place); }
}

fn add_value(team: ptr<function, Team>, p: u32, counts: bool, value: array<vec4<f32>, 2>, place: Place) {
    for (var h = 0u; h < SUB; h++) {
        let weight = select(0.0, exp(score_at(h, p, place) - (*team).top[h]), counts);
        (*team).total[h] += weight;
        (*team).sum[2u * h] += weight * value[0];
        (*team).sum[2u * h + 1u] += weight * value[1];
    }
}

struct Joined {
    sum: vec4<f32>,
    top: f32,
    total: f32,
}

fn join(h: u32, i: u32) -> Joined {
    var joined = Joined(vec4<f32>(0.0), NOTHING, 0.0);
    for (var t = 0u; t < TEAMS; t++) { joined.top = max(joined.top, states[h * TEAMS + t].x); }
    for (var t = 0u; t < TEAMS; t++) {
        let state = states[h * TEAMS + t];
        let scale = exp(state.x - joined.top);
        joined.total += scale * state.y;
        joined.sum += scale * sums[(h * TEAMS + t) * D8 * 2u + i];
    }
    return joined;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.y;
    if (row >= inputs[0]) { return; }
    let kv_head = group.x / PARTS % KV_HEADS;
    let head0 = kv_head * GROUP + group.x % PARTS * SUB;
    let split = group.x / (PARTS * KV_HEADS);
    let end = position_of(row) + 1u;
    let slot = slot_of(row);
    prepare(row, head0, kv_head, thread);
    var start = 0u;
    if (WINDOW > 0u) { start = end - min(end, WINDOW); }
    let per = (end - start + SPLITS - 1u) / SPLITS;
    let stop = min(end, start + (split + 1u) * per);
    if (OWN && stop == end && start + split * per < end && group.x % PARTS == 0u) { keep_own(slot, end - 1u, kv_head, thread); }
    let number = thread / D8;
    let d = thread % D8;
    var team: Team;
    for (var h = 0u; h < SUB; h++) { team.top[h] = NOTHING; }
    for (var tile = start + split * per; tile < stop; tile += TILE) {
        let place = Place(head0, tile, end - 1u);
        workgroupBarrier();
        score(thread, slot, kv_head, place, stop);
        workgroupBarrier();
        if (number < TEAMS) { add_values(&team, number * PER, min(number * PER + PER, min(TILE, stop - tile)), d, place); }
    }
    if (number < TEAMS) {
        for (var h = 0u; h < SUB; h++) {
            sums[((h * TEAMS + number) * D8 + d) * 2u] = team.sum[2u * h];
            sums[((h * TEAMS + number) * D8 + d) * 2u + 1u] = team.sum[2u * h + 1u];
            if (d == 0u) { states[h * TEAMS + number] = vec2<f32>(team.top[h], team.total[h]); }
        }
    }
    workgroupBarrier();
    let is_last = thread < SUB * D8 * 2u;
    let h = thread / (D8 * 2u);
    let i = thread % (D8 * 2u);
    var joined = Joined(vec4<f32>(0.0), NOTHING, 0.0);
    if (is_last) { joined = join(h, i); }
    give(row * HEADS + head0 + h, split, i, joined, is_last, thread);
}
