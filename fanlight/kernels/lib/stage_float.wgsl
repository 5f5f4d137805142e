// Activations arrive in f32: staged as the prologue leaves them, and quantised. RMSNorm is deferred: results are multiplied by
// 1/rms afterwards. Half h's squares are added to those of h - 16, h - 32, ..., however the halves are staged and by whom: the
// sum does not depend on how many columns there are.
var<workgroup> squares: array<f32, COLS * SQUARES>; // of the chunk's halves; at the end 16 sums a column

// Half a group a turn.
fn stage(chunk: u32, thread: u32) {
    for (var c = 0u; c < COLS; c++) {
        let row = x_row(c);
        for (var i = thread; i < min(CHUNK, GROUPS - chunk) * 2u; i += WORKGROUP) {
            let k = chunk * 32u + i * 16u;
            let v = x16(row, k);
            if (NORMALIZE) {
                squares[c * SQUARES + i] = dot(v[0], v[0]) + dot(v[1], v[1]) + dot(v[2], v[2]) + dot(v[3], v[3]);
            }
            let share = share_of(k);
            let v0 = prologue(v[0], factors_of(row, k)) * share;
            let v1 = prologue(v[1], factors_of(row, k + 4u)) * share;
            let v2 = prologue(v[2], factors_of(row, k + 8u)) * share;
            let v3 = prologue(v[3], factors_of(row, k + 12u)) * share;
            let most = max(max(abs(v0), abs(v1)), max(abs(v2), abs(v3)));
            let top = max(max(most.x, most.y), max(most.z, most.w));
            let by = select(0.0, 127.0 / top, top > 0.0);
            let q = vec4<u32>(four_int8(v0, by), four_int8(v1, by), four_int8(v2, by), four_int8(v3, by));
            let at = (c * 2u + i % 2u) * CHUNK + i / 2u;
            let scale = top / 127.0;
            xq[at] = q;
            xd[at] = vec2<f32>(scale, scale * f32(sum_int8(q)));
        }
    }
}

// Adds a chunk's squares to the sums of those before, which threads below 16 hold; the last chunk's leave them in `squares`.
fn gather_squares(chunk: u32, thread: u32, sums: ptr<function, array<f32, COLS>>) {
    if (!NORMALIZE || thread >= 16u) { return; }
    let halves = min(CHUNK, GROUPS - chunk) * 2u;
    for (var c = 0u; c < COLS; c++) {
        for (var i = thread; i < halves; i += 16u) { (*sums)[c] += squares[c * SQUARES + i]; }
        if (chunk + CHUNK >= GROUPS) { squares[c * SQUARES + thread] = (*sums)[c]; }
    }
}

fn scale_of(column: u32) -> f32 {
    if (!NORMALIZE) { return 1.0; }
    var total = 0.0;
    for (var i = 0u; i < 16u; i++) { total += squares[column * SQUARES + i]; }
    return inverseSqrt(total / f32(K) + EPS);
}
