fn kv8(element: u32) -> array<vec4<f32>, 2> { return array<vec4<f32>, 2>(kv[element / 4u], kv[element / 4u + 1u]); }
