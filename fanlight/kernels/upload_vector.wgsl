// params: as in upload.wgsl; the file's values are one per row.

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.x;
    if (row >= params[0]) { return; }
    var source = row;
    let head = params[5];
    if (head != 0u) {
        let d = row % head;
        source = row - d + (d % 2u) * (head / 2u) + d / 2u;
    }
    packed[params[1] + row] = widen(source);
}
