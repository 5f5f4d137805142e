// Four elements of a row of q, k and v, which their product left in parts: rope_kv.wgsl does the rest. See add_parts_rope.py.
fn four_of(row: u32, n: u32) -> vec4<f32> { return sum_of_parts(row, n); }
