// A tile's columns are HALF rows of W's upper half, then the rows of the lower half that make the same elements. What leaves is
// quantised as in quantize.py: four elements a thread, eight threads to a scale.
const ELEMENTS = N / 2u;
const HALF = TILE_N / 2u;

fn weight_row(column: u32, n: u32) -> u32 { return min(column * HALF + n % HALF, ELEMENTS - 1u) + n / HALF * ELEMENTS; }

fn element_at(at: u32, row: u32, element: u32) -> f32 {
    let slab = bufferView<array<f32, SLAB * 4u>>(&tile, 0u);
    return epilogue(slab[at] / GAIN, slab[at + HALF] / GAIN, extras_of(row, element));
}

fn finish_slab(column: u32, part: u32, row0: u32, rows: u32, thread: u32) {
    for (var turn = 0u; turn < 4u * HALF / THREADS; turn++) {
        let i = turn * THREADS + thread;
        let within = i % (HALF / 4u) * 4u;
        let at = i / (HALF / 4u) * TILE_N + within;
        let element = min(column * HALF + within, ELEMENTS - 4u);
        let row = row0 + i / (HALF / 4u);
        let v = vec4<f32>(element_at(at, row, element), element_at(at + 1u, row, element + 1u),
            element_at(at + 2u, row, element + 2u), element_at(at + 3u, row, element + 3u));
        let a = abs(v);
        var largest = max(max(a.x, a.y), max(a.z, a.w));
        largest = max(largest, subgroupShuffleXor(largest, 1u));
        largest = max(largest, subgroupShuffleXor(largest, 2u));
        largest = max(largest, subgroupShuffleXor(largest, 4u));
        let scale = largest / 127.0;
        if (row < rows && column * HALF + within < ELEMENTS) {
            let out = row * ELEMENTS + element;
            yq[out / 4u] = four_int8(v, select(0.0, 1.0 / scale, scale > 0.0));
            if (within % 32u == 0u) { yd[out / 32u] = scale; }
        }
    }
}
