// The group's product with 32 staged activations, which lie at xs[base + j * CHUNK].
fn dot_group(g: Group, base: u32, sums: u32) -> f32 {
    let a = dot(g.v[0], xs[base]) + dot(g.v[1], xs[base + CHUNK])
        + dot(g.v[2], xs[base + 2u * CHUNK]) + dot(g.v[3], xs[base + 3u * CHUNK]);
    let b = dot(g.v[4], xs[base + 4u * CHUNK]) + dot(g.v[5], xs[base + 5u * CHUNK])
        + dot(g.v[6], xs[base + 6u * CHUNK]) + dot(g.v[7], xs[base + 7u * CHUNK]);
    return a + b;
}
