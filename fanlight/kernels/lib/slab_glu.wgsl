// A tile's columns are HALF gate rows of W, then the up rows of the same elements. What leaves is silu(gate) * up, quantised as in
// quantize.py: four elements a thread, eight threads to a scale.  https://arxiv.org/abs/2002.05202
const ELEMENTS = N / 2u;
const HALF = TILE_N / 2u;

fn weight_row(column: u32, n: u32) -> u32 { return min(column * HALF + n % HALF, ELEMENTS - 1u) + n / HALF * ELEMENTS; }

fn gated(at: u32, element: u32) -> f32 {
    let slab = bufferView<array<f32, SLAB * 4u>>(&tile, 0u);
    let gate = slab[at] / GAIN + bias_of(element);
    return gate / (1.0 + exp(-gate)) * (slab[at + HALF] / GAIN + bias_of(element + ELEMENTS));
}

fn finish_slab(column: u32, part: u32, row0: u32, rows: u32, thread: u32) {
    for (var turn = 0u; turn < 4u * HALF / THREADS; turn++) {
        let i = turn * THREADS + thread;
        let within = i % (HALF / 4u) * 4u;
        let at = i / (HALF / 4u) * TILE_N + within;
        let element = min(column * HALF + within, ELEMENTS - 4u);
        let v = vec4<f32>(gated(at, element), gated(at + 1u, element + 1u), gated(at + 2u, element + 2u), gated(at + 3u, element + 3u));
        let a = abs(v);
        var largest = max(max(a.x, a.y), max(a.z, a.w));
        largest = max(largest, subgroupShuffleXor(largest, 1u));
        largest = max(largest, subgroupShuffleXor(largest, 2u));
        largest = max(largest, subgroupShuffleXor(largest, 4u));
        let scale = largest / 127.0;
        let row = row0 + i / (HALF / 4u);
        if (row < rows && column * HALF + within < ELEMENTS) {
            let out = row * ELEMENTS + element;
            yq[out / 4u] = four_int8(v, select(0.0, 1.0 / scale, scale > 0.0));
            if (within % 32u == 0u) { yd[out / 32u] = scale; }
        }
    }
}
