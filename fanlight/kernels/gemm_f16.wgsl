// Y = X W^T in f16: tiles of TILE_M rows of X by TILE_N rows of W, KG groups of 32 elements of K at a time. See gemm_f16.py.
// A row keeps its eight vec4 of a group at row * 8 + (j ^ something of the row): the rows that neighbouring threads read then lie in
// different banks.

const THREADS = TX * TY;
const TN = TILE_N / TX; // columns of a thread: tx, tx + TX, ...
const TM = TILE_M / TY; // rows of a thread: ty * TM, ...
const FOURS = TM / 4u;

var<workgroup> w_tile: array<vec4<f16>, KG * TILE_N * 8u>;
var<workgroup> x_tile: array<vec4<f16>, KG * TILE_M * 8u>;
var<workgroup> x_scale: array<f32, KG * TILE_M>;
var<workgroup> between: array<vec4<u32>, THREADS>; // threads, at the end

fn w_at(row: u32, j: u32) -> u32 { return row * 8u + (j ^ (row % 8u)); }
fn x_at(row: u32, j: u32) -> u32 { return row * 8u + (j ^ (row / 4u % 8u)); }

fn hand(thread: u32, v: vec4<u32>) { between[thread] = v; }
fn handed(thread: u32) -> vec4<u32> { return between[thread]; }

fn four_f16(q: u32) -> vec4<f16> { return vec4<f16>(unpack4xI8(q)); }

fn put_weights(i: u32, g: u32, column: u32) {
    let w = unpack(weight_group(weight_row(column, i % TILE_N), min(g, GROUPS - 1u)));
    let scale = vec2<f16>(w.scale);
    let offset = vec2<f16>(w.offset);
    for (var j = 0u; j < 4u; j++) {
        w_tile[w_at(i, j)] = fma(four_f16(w.a[j]), vec4<f16>(scale.x), vec4<f16>(offset.x));
        w_tile[w_at(i, j + 4u)] = fma(four_f16(w.b[j]), vec4<f16>(scale.y), vec4<f16>(offset.y));
    }
}

fn put_activations(i: u32, g: u32, row0: u32, last_row: u32) {
    let at = row_of_x(min(row0 + i % TILE_M, last_row)) * GROUPS + min(g, GROUPS - 1u);
    let a = xq[at * 2u];
    let b = xq[at * 2u + 1u];
    for (var j = 0u; j < 4u; j++) {
        x_tile[x_at(i, j)] = four_f16(a[j]);
        x_tile[x_at(i, j + 4u)] = four_f16(b[j]);
    }
    x_scale[i] = select(0.0, xd[at], g < GROUPS); // past the end of K nothing counts
}

fn stage(g0: u32, column: u32, row0: u32, last_row: u32, thread: u32) {
    for (var i = thread; i < KG * (TILE_N + TILE_M); i += THREADS) {
        if (i < KG * TILE_N) {
            put_weights(i, g0 + i / TILE_N, column);
        } else {
            put_activations(i - KG * TILE_N, g0 + (i - KG * TILE_N) / TILE_M, row0, last_row);
        }
    }
}

fn sum4(v: vec4<f16>) -> f32 {
    let two = v.xy + v.zw;
    return f32(two.x) + f32(two.y);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let span = span_of(group.y, TILE_M);
    let row0 = span.first;
    let rows = span.end;
    if (row0 >= rows) { return; }
    let tx = thread % TX;
    let m0 = thread / TX * TM;
    var acc: array<vec4<f32>, TN * FOURS>;
    for (var g = 0u; g < GROUPS; g += KG) {
        stage(g, group.x, row0, rows - 1u, thread);
        workgroupBarrier();
        for (var kg = 0u; kg < KG; kg++) {
            let w0 = kg * TILE_N + tx;
            let x0 = kg * TILE_M + m0;
            var part = array<vec4<f16>, TN * TM>();
            for (var j = 0u; j < 8u; j++) {
                var w: array<vec4<f16>, TN>;
                for (var n = 0u; n < TN; n++) { w[n] = w_tile[w_at(w0 + TX * n, j)]; }
                for (var m = 0u; m < TM; m++) {
                    let x = x_tile[x_at(x0 + m, j)];
                    for (var n = 0u; n < TN; n++) { part[n * TM + m] = fma(x, w[n], part[n * TM + m]); }
                }
            }
            for (var r = 0u; r < FOURS; r++) {
                let m = 4u * r;
                let scale = vec4<f32>(x_scale[x0 + m], x_scale[x0 + m + 1u], x_scale[x0 + m + 2u], x_scale[x0 + m + 3u]);
                for (var n = 0u; n < TN; n++) {
                    let p = n * TM + m;
                    acc[n * FOURS + r] += scale * vec4<f32>(sum4(part[p]), sum4(part[p + 1u]), sum4(part[p + 2u]), sum4(part[p + 3u]));
                }
            }
        }
        workgroupBarrier();
    }
    finish_tile(acc, group.x, row0, rows, tx, m0);
}
