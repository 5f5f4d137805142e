fn kv4(element: u32) -> vec4<f32> { return kv[element / 4u]; }
