// LANES threads a channel, each with some of its numbers, all rows of a run one after the other. See scan.py.
const CHANNELS = HEADS * SIZE;
const EACH = (STATES + LANES - 1u) / LANES;
const TILE = WORKGROUP / LANES; // channels of a workgroup

var<workgroup> sums: array<f32, LANES * WORKGROUP>; // of LANES rows, each thread's share of its channel's result

struct Step { step: f32, input: f32, b: array<f32, EACH>, c: array<f32, EACH> } // what a row brings to a thread

fn input_of(row: u32, channel: u32) -> f32 { return x[row * X_STRIDE + X_OFFSET + channel]; }

fn step_of(row: u32, channel: u32, head: u32, lane: u32) -> Step {
    var made: Step;
    made.step = dt[row * DT_STRIDE + DT_OFFSET + head];
    made.input = input_of(row, channel);
    let b_at = row * BC_STRIDE + BC_OFFSET + head / (HEADS / GROUPS) * STATES;
    for (var i = 0u; i < EACH; i++) {
        let n = min(lane + i * LANES, STATES - 1u);
        made.b[i] = bc[b_at + n];
        made.c[i] = bc[b_at + GROUPS * STATES + n];
    }
    return made;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let count = inputs[0];
    var begin = 0u; // of the group.y-th run
    for (var run = 0u; run < group.y && begin < count; run++) { begin = end_of_run(begin); }
    if (begin >= count) { return; }
    let end = end_of_run(begin);
    let first_channel = group.x * TILE;
    let lane = local % LANES;
    let is_there = first_channel + local / LANES < CHANNELS;
    let channel = min(first_channel + local / LANES, CHANNELS - 1u);
    let head = channel / SIZE;
    let state_at = (slot_of(begin) * CHANNELS + channel) * STATES;
    let goes_on = position_of(begin) > 0u;
    var kept: array<f32, EACH>;
    var rates: array<f32, EACH>;
    for (var i = 0u; i < EACH; i++) {
        let n = min(lane + i * LANES, STATES - 1u);
        kept[i] = select(0.0, state[state_at + n], goes_on);
        let rate = a[head * RATES + min(n, RATES - 1u)];
        rates[i] = select(rate, -exp(rate), IS_LOG == 1u);
    }
    var now = step_of(begin, channel, head, lane);
    for (var first = begin; first < end; first += LANES) {
        for (var row = first; row < min(first + LANES, end); row++) {
            let next = step_of(min(row + 1u, end - 1u), channel, head, lane); // is on its way while this row is computed
            let input = now.step * now.input;
            let fades = exp(now.step * rates[0]);
            var sum = 0.0;
            for (var i = 0u; i < EACH; i++) {
                if (lane + i * LANES >= STATES) { continue; }
                var fade = fades;
                if (RATES > 1u) { fade = exp(now.step * rates[i]); }
                kept[i] = kept[i] * fade + input * now.b[i];
                sum += kept[i] * now.c[i];
            }
            now = next;
            sums[(row - first) * WORKGROUP + local] = sum;
        }
        workgroupBarrier();
        // Of these rows and channels each thread finishes one.
        let row = first + local / TILE;
        let finished = first_channel + local % TILE;
        if (row < end && finished < CHANNELS) {
            var sum = d[finished / SIZE] * input_of(row, finished);
            for (var i = 0u; i < LANES; i++) {
                sum += sums[local / TILE * WORKGROUP + local % TILE * LANES + (i + local) % LANES];
            }
            y[row * Y_STRIDE + finished] = sum;
        }
        workgroupBarrier();
    }
    for (var i = 0u; i < EACH; i++) {
        let n = lane + i * LANES;
        if (n < STATES && is_there) { state[state_at + n] = kept[i]; }
    }
}
