// A tile's columns are HALF rows of W's upper half, then the rows of the lower half that make the same elements: a thread has both
// of an element. What leaves is quantised as in quantize.py.
const ELEMENTS = N / 2u;
const HALF = TILE_N / 2u;
const HALF_TN = TN / 2u;
const RUN = 32u / TX; // columns of a thread that share a scale with its neighbours'

fn weight_row(tile: u32, column: u32) -> u32 {
    return min(tile * HALF + column % HALF, ELEMENTS - 1u) + column / HALF * ELEMENTS;
}

// The scale of each run of 32 elements in the thread's four rows: every thread hands its largest to the others.
fn run_scale(largest: vec4<f32>, thread: u32) -> vec4<f32> {
    workgroupBarrier();
    hand(thread, bitcast<vec4<u32>>(largest));
    workgroupBarrier();
    var top = vec4<f32>(0.0);
    for (var l = 0u; l < TX; l++) { top = max(top, bitcast<vec4<f32>>(handed(thread / TX * TX + l))); }
    return top / 127.0;
}

fn inverse4(scale: vec4<f32>) -> vec4<f32> { return select(vec4<f32>(0.0), 1.0 / scale, scale > vec4<f32>(0.0)); }
fn bytes_of(v: vec4<f32>) -> u32 { return pack4xI8(vec4<i32>(round(v))); }

// The i-th byte of four words.
fn across(w: vec4<u32>, i: u32) -> u32 {
    let bytes = (w >> vec4<u32>(8u * i)) & vec4<u32>(0xffu);
    return bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | (bytes.w << 24u);
}

fn finish_tile(acc: array<vec4<f32>, TN * FOURS>, tile: u32, row0: u32, rows: u32, tx: u32, m0: u32) {
    let thread = m0 / (4u * FOURS) * TX + tx;
    for (var r = 0u; r < FOURS; r++) {
        let row = row0 + m0 + 4u * r;
        var words: vec4<u32>; // of the thread's columns: a byte for each of its four rows
        for (var run = 0u; run < HALF_TN / RUN; run++) {
            var values: array<vec4<f32>, RUN>;
            var largest = vec4<f32>(0.0);
            for (var k = 0u; k < RUN; k++) {
                let j = run * RUN + k;
                let extras = extras_of(row, extras_column(min(tile * HALF + tx + TX * j, ELEMENTS - 1u))); // of four rows
                values[k] = epilogue(acc[j * FOURS + r], acc[(j + HALF_TN) * FOURS + r], extras);
                largest = max(largest, abs(values[k]));
            }
            let scale = run_scale(largest, thread);
            for (var k = 0u; k < RUN; k++) { words[run * RUN + k] = bytes_of(values[k] * inverse4(scale)); }
            let element = tile * HALF + run * 32u;
            for (var i = 0u; i < 4u; i++) {
                if (tx == 0u && row + i < rows && element < ELEMENTS) { yd[(row_of_y(row + i) * ELEMENTS + element) / 32u] = scale[i]; }
            }
        }
        workgroupBarrier();
        hand(thread, words);
        workgroupBarrier();
        for (var quad = tx; quad < HALF / 4u; quad += TX) {
            let at = thread / TX * TX + quad * 4u % TX;
            let j = quad * 4u / TX;
            let four = vec4<u32>(handed(at)[j], handed(at + 1u)[j], handed(at + 2u)[j], handed(at + 3u)[j]);
            let element = tile * HALF + quad * 4u;
            for (var i = 0u; i < 4u; i++) {
                if (row + i < rows && element < ELEMENTS) { yq[(row_of_y(row + i) * ELEMENTS + element) / 4u] = across(four, i); }
            }
        }
    }
}
