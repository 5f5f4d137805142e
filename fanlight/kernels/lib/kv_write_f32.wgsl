fn kv_write(element: u32, v: vec2<f32>) { kv[element / 2u] = v; }
