// A workgroup's one column is one of the experts of a row, all of which read the row.
var<private> part: u32; // of y
fn begin(group: vec3<u32>, thread: u32) -> bool {
    let here = u32(route[group.z / TOP_K * 2u * TOP_K + group.z % TOP_K]) - FIRST;
    part = group.z;
    expert = here;
    return here < EXPERTS;
}
fn x_row(column: u32) -> u32 { return part / TOP_K; }
fn y_row(column: u32) -> u32 { return part; }
fn share_of(k: u32) -> f32 { return 1.0; }
