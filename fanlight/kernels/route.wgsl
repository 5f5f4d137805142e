// One workgroup a row. See route.py.
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    choose(group.x, thread);
    write_route(group.x, thread);
}
