// 32 neighbouring values of a weight's row.
struct Group {
    v: array<vec4<f32>, 8>,
}

fn value4(g: Group, j: u32) -> vec4<f32> {
    switch (j) {
        case 0u: { return g.v[0]; }
        case 1u: { return g.v[1]; }
        case 2u: { return g.v[2]; }
        case 3u: { return g.v[3]; }
        case 4u: { return g.v[4]; }
        case 5u: { return g.v[5]; }
        case 6u: { return g.v[6]; }
        default: { return g.v[7]; }
    }
}
