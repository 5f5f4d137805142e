// As experts_each.wgsl, where the row's choice is yet to be made: every workgroup makes it, and a row's first one leaves it to what
// comes later.
var<private> part: u32; // of y
fn begin(group: vec3<u32>, thread: u32) -> bool {
    part = group.z;
    choose(group.z / TOP_K, thread);
    expert = chosen[group.z % TOP_K];
    if (group.x == 0u && group.y == 0u && group.z % TOP_K == 0u) { write_route(group.z / TOP_K, thread); }
    return true;
}
fn x_row(column: u32) -> u32 { return part / TOP_K; }
fn y_row(column: u32) -> u32 { return part; }
fn share_of(k: u32) -> f32 { return 1.0; }
