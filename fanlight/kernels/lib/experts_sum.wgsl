// A workgroup's one column is a row with all its experts: a sum over parts of x, each with its own weights and its share.
var<private> token: u32;
fn begin(group: vec3<u32>, thread: u32) -> bool {
    token = group.z;
    return true;
}
fn weight_group(row: u32, g: u32) -> u32 {
    let expert = min(u32(route[token * 2u * TOP_K + g / EXPERT_GROUPS]) - FIRST, EXPERTS - 1u);
    return (expert * EXPERT_ROWS + row) * EXPERT_GROUPS + g % EXPERT_GROUPS;
}
fn x_row(column: u32) -> u32 { return token; }
fn y_row(column: u32) -> u32 { return token; }
fn extras_column(out: u32) -> u32 { return out; }
fn share_of(k: u32) -> f32 { return route[(token * 2u + 1u) * TOP_K + min(k / (32u * EXPERT_GROUPS), TOP_K - 1u)]; }
