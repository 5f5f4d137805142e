// A row's lanes leave their sums in workgroup memory, a word apart from the next row's, so that neighbouring readers meet no bank
// twice; whoever finishes the row adds them in order: the sum does not depend on how many columns there are, or which this is.
const PARTIALS = WORKGROUP + WORKGROUP / LANES;
fn keep_lanes(at: u32, thread: u32, value: f32) { partial[at + thread + thread / LANES] = value; }
fn sum_lanes(at: u32, lane_set: u32) -> f32 {
    var total = 0.0;
    for (var l = 0u; l < LANES; l++) { total += partial[at + lane_set * (LANES + 1u) + l]; }
    return total;
}
