// A row's lanes leave their sums in workgroup memory; whoever finishes the row adds them, each reader from another lane on.
const PARTIALS = WORKGROUP;
fn keep_lanes(at: u32, thread: u32, value: f32) { partial[at + thread] = value; }
fn sum_lanes(at: u32, lane_set: u32, reader: u32) -> f32 {
    var total = 0.0;
    for (var l = 0u; l < LANES; l++) { total += partial[at + lane_set * LANES + (l + reader) % LANES]; }
    return total;
}
