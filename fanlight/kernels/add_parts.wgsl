// y = the sum of a product's parts + bias + residual: four elements a thread. See add_parts.py.
fn added(out: u32, n: u32) -> f32 { return bias_of(ROW_OFFSET + n) + residual_of(out); }

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let n = id.x * 4u;
    if (n >= N || id.y >= inputs[0]) { return; }
    let out = id.y * Y_STRIDE + ROW_OFFSET + n;
    var sum = vec4<f32>(added(out, n), added(out + 1u, n + 1u), added(out + 2u, n + 2u), added(out + 3u, n + 3u));
    let first = (id.y / TILE * ((N + TILE - 1u) / TILE) + n / TILE) * TURNS; // turn of the element's tile, of all tiles'
    let parts = (first + TURNS - 1u) / SHARE - first / SHARE + 1u;
    for (var i = 0u; i < parts; i++) { sum += x[((i * ROWS + id.y) * N + n) / 4u]; }
    y[out / 4u] = sum;
}
