var<workgroup> partial: array<f32, WORKGROUP>;

// Of what every thread gives.
fn total(value: f32, thread: u32) -> f32 {
    partial[thread] = value;
    workgroupBarrier();
    for (var step = WORKGROUP / 2u; step > 0u; step /= 2u) {
        if (thread < step) { partial[thread] += partial[thread + step]; }
        workgroupBarrier();
    }
    let sum = partial[0];
    workgroupBarrier();
    return sum;
}
