// Four elements a thread. See add_parts.py.
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let n = id.x * 4u;
    if (n >= N || id.y >= inputs[0]) { return; }
    y[(id.y * Y_STRIDE + ROW_OFFSET + n) / 4u] = sum_of_parts(id.y, n);
}
