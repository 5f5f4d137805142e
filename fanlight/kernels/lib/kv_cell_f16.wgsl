fn kv_cell(i: u32) -> Cell { return kv[i]; }
fn cell4(c: Cell) -> vec4<f32> { return vec4<f32>(unpack2x16float(c.x), unpack2x16float(c.y)); }
