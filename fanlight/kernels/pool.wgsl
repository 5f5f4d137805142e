// Column by column over the rows of a sample's sequence. See pool.py.
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.y >= inputs[1] || id.x >= STRIDE / 4u) { return; }
    let last = min(inputs[SAMPLES_AT + id.y * 16u], inputs[0] - 1u);
    let first = last - min(last, position_of(last));
    var sum = x[first * (STRIDE / 4u) + id.x];
    if (!IS_MEAN) {
        y[id.y * (STRIDE / 4u) + id.x] = sum;
        return;
    }
    for (var row = first + 1u; row <= last; row++) { sum += x[row * (STRIDE / 4u) + id.x]; }
    y[id.y * (STRIDE / 4u) + id.x] = sum / f32(last - first + 1u);
}
