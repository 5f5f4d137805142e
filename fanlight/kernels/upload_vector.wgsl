// params: as in upload.wgsl; the file's values are one per row.

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let row = id.x;
    if (row >= params[0]) { return; }
    packed[params[1] + row] = widen(source_row(row));
}
