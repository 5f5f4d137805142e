// A row: its sums, kept, then normed and quantised, eight threads to a scale. See add_parts_norm.py.
const FOURS = N / 4u;
const OWN = (FOURS + WORKGROUP - 1u) / WORKGROUP; // of a thread: every WORKGROUP-th

var<workgroup> squares: array<f32, WORKGROUP>;
var<workgroup> sixteenths: array<f32, 16>;
var<workgroup> largest: array<f32, OWN * WORKGROUP>;

// Of what every thread gives.
fn total(value: f32, thread: u32) -> f32 {
    squares[thread] = value;
    workgroupBarrier();
    if (thread < 16u) {
        var sum = 0.0;
        for (var i = thread; i < WORKGROUP; i += 16u) { sum += squares[i]; }
        sixteenths[thread] = sum;
    }
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < 16u; i++) { sum += sixteenths[i]; }
    return sum;
}

// Takes the mean away; returns the thread's sum of squares.
fn center(own: ptr<function, array<vec4<f32>, OWN>>, mean: f32, thread: u32) -> f32 {
    var square = 0.0;
    for (var i = 0u; i < OWN; i++) {
        (*own)[i] -= vec4<f32>(mean);
        if (thread + i * WORKGROUP < FOURS) { square += dot((*own)[i], (*own)[i]); }
    }
    return square;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.x;
    if (row >= inputs[0]) { return; }
    var own = array<vec4<f32>, OWN>();
    var sum = 0.0;
    for (var i = 0u; i < OWN; i++) {
        let four = thread + i * WORKGROUP;
        if (four < FOURS) {
            own[i] = sum_of_parts(row, 4u * four);
            y[row * (Y_STRIDE / 4u) + four] = own[i];
            sum += select(dot(own[i], own[i]), dot(own[i], vec4<f32>(1.0)), CENTERED);
        }
    }
    if (CENTERED) { sum = center(&own, total(sum, thread) / f32(N), thread); }
    let scale = inverseSqrt(total(sum, thread) / f32(N) + EPS);
    for (var i = 0u; i < OWN; i++) {
        let four = thread + i * WORKGROUP;
        own[i] = norm(own[i] * scale, norm_extras_of(row, 4u * min(four, FOURS - 1u)));
        let a = abs(own[i]);
        largest[four] = max(max(a.x, a.y), max(a.z, a.w));
    }
    workgroupBarrier();
    for (var i = 0u; i < OWN; i++) {
        let four = thread + i * WORKGROUP;
        var top = 0.0;
        for (var j = 0u; j < 8u; j++) { top = max(top, largest[four / 8u * 8u + j]); }
        if (four < FOURS) {
            xq[row * FOURS + four] = four_int8(own[i], select(0.0, 127.0 / top, top > 0.0));
            if (four % 8u == 0u) { xd[row * (FOURS / 8u) + four / 8u] = top / 127.0; }
        }
    }
}
