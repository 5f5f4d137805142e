// Rows of one expert's, of a weight that has EXPERTS of them: see Experts in linear.py.
var<private> expert: u32; // among those of the weight
fn weight_group(row: u32, g: u32) -> u32 {
    return (row / EXPERT_ROWS * EXPERTS * EXPERT_ROWS + expert * EXPERT_ROWS + row % EXPERT_ROWS) * GROUPS + g;
}
fn extras_column(out: u32) -> u32 { return (FIRST + expert) * Y_STRIDE + out; }
