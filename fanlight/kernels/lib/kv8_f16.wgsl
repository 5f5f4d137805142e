fn kv8(element: u32) -> array<vec4<f32>, 2> {
    let v = kv[element / 8u];
    return array<vec4<f32>, 2>(
        vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y)), vec4<f32>(unpack2x16float(v.z), unpack2x16float(v.w)));
}
