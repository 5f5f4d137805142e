fn kv4(element: u32) -> vec4<f32> {
    let v = kv[element / 4u];
    return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));
}
