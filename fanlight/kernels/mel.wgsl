// A frame a workgroup. The window and the samples are folded about the frame's middle, so that the transform's real part is of
// sums and its imaginary part of differences. See mel.py.
var<workgroup> turn: array<f32, FRAME>;
var<workgroup> sums: array<f32, BINS>;
var<workgroup> differences: array<f32, BINS>;
var<workgroup> power: array<f32, BINS>;

fn windowed(at: u32, n: u32) -> f32 { return sound[at + n] * (0.5 - 0.5 * cosines[n]); }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.y;
    if (row >= inputs[0]) { return; }
    let at = (PER_ROW * row + group.x) * HOP;
    for (var n = thread; n < FRAME; n += WORKGROUP) { turn[n] = cosines[n]; }
    for (var n = thread; n < BINS; n += WORKGROUP) {
        let x = windowed(at, n);
        let is_alone = n == 0u || n == FRAME / 2u;
        let other = select(windowed(at, (FRAME - n) % FRAME), 0.0, is_alone);
        sums[n] = x + other;
        differences[n] = select(x - other, 0.0, is_alone);
    }
    workgroupBarrier();
    for (var k = thread; k < BINS; k += WORKGROUP) {
        var real = 0.0;
        var imaginary = 0.0;
        var angle = 0u;
        for (var n = 0u; n < BINS; n++) {
            real += sums[n] * turn[angle];
            imaginary += differences[n] * turn[(angle + 3u * FRAME / 4u) % FRAME]; // the sine
            angle += k;
            if (angle >= FRAME) { angle -= FRAME; }
        }
        power[k] = real * real + imaginary * imaginary;
    }
    workgroupBarrier();
    for (var m = thread; m < MELS; m += WORKGROUP) {
        var sum = 0.0;
        for (var k = 0u; k < BINS; k++) { sum += filters[m * BINS + k] * power[k]; }
        y[row * Y_STRIDE + group.x * MELS + m] = log(max(sum, LEAST)) * 0.4342944819032518;
    }
}
