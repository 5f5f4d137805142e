fn unpack(g: u32) -> Group {
    let at = PLANE_X / 16u + g * 8u;
    return Group(array<vec4<f32>, 8>(
        bitcast<vec4<f32>>(w[at]), bitcast<vec4<f32>>(w[at + 1u]), bitcast<vec4<f32>>(w[at + 2u]), bitcast<vec4<f32>>(w[at + 3u]),
        bitcast<vec4<f32>>(w[at + 4u]), bitcast<vec4<f32>>(w[at + 5u]), bitcast<vec4<f32>>(w[at + 6u]), bitcast<vec4<f32>>(w[at + 7u])));
}
