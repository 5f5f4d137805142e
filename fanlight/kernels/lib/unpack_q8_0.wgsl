fn unpack(g: u32) -> Group {
    let at = PLANE_QS / 16u + g * 2u;
    return Group(w[at], w[at + 1u], vec2<f32>(half_at(PLANE_D + g * 2u)), vec2<f32>(0.0));
}
