// The group's product with 32 staged activations: half a's four vec4 lie at xs[base + j * CHUNK], their sums in xsum.
fn dot_group(g: Group, base: u32, sums: u32) -> f32 {
    let a = dot(q4(g.a.x), xs[base]) + dot(q4(g.a.y), xs[base + CHUNK])
        + dot(q4(g.a.z), xs[base + 2u * CHUNK]) + dot(q4(g.a.w), xs[base + 3u * CHUNK]);
    let b = dot(q4(g.b.x), xs[base + 4u * CHUNK]) + dot(q4(g.b.y), xs[base + 5u * CHUNK])
        + dot(q4(g.b.z), xs[base + 6u * CHUNK]) + dot(q4(g.b.w), xs[base + 7u * CHUNK]);
    return g.scale.x * a + g.scale.y * b + g.offset.x * xsum[sums] + g.offset.y * xsum[sums + CHUNK];
}
