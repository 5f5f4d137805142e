// A row's lanes, all of one subgroup, add by shuffles; the first leaves the sum.
const PARTIALS = WORKGROUP / LANES;
fn keep_lanes(at: u32, thread: u32, value: f32) {
    var total = value;
    for (var apart = LANES / 2u; apart > 0u; apart /= 2u) { total += subgroupShuffleXor(total, apart); }
    if (thread % LANES == 0u) { partial[at + thread / LANES] = total; }
}
fn sum_lanes(at: u32, lane_set: u32) -> f32 { return partial[at + lane_set]; }
