fn kv_write(element: u32, v: vec2<f32>) { kv[element / 2u] = pack2x16float(clamp(v, vec2<f32>(-65504.0), vec2<f32>(65504.0))); }
