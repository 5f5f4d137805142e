fn cell4(c: Cell) -> vec4<f32> { return c; }
