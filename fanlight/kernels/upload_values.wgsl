// Scales, zero points and offsets, as f32, one to a block of a row.
// params: rows, first row, blocks per row, coding, first element that is staged, head_dim and rotary rows (source_row.wgsl), -, byte offset
// of the plane, first row in the file, first block of the upload, blocks of it, four steps (row and block to element), then of a zero
// point what is added to it, what is left of it, what is taken off; what numbers are multiplied with, or divide where 1 would be added; of nested scales the first that is
// given, their 256 values, what is added to all, the scales of 256 each.

const TABLE = 21u;
const NESTED = 256u;

fn zero_point(code: u32) -> f32 { return f32((code + params[16]) & params[17]) - f32(params[18]); }

// A number of the file's times another, or that divided by it.
fn sized(x: f32) -> f32 {
    let times = bitcast<f32>(params[19]);
    return select(x * times, times / x, params[16] == 1u);
}

fn number(at: u32, row: u32) -> f32 {
    switch (params[3]) {
        case 0u: { return sized(bitcast<f32>(staging[at])); }
        case 1u: { return sized(unpack2x16float(staging[at / 2u])[at % 2u]); }
        case 2u: {
            let word = staging[at / 2u];
            return sized(bitcast<f32>(select(word << 16u, word & 0xffff0000u, at % 2u == 1u)));
        }
        case 3u: { return zero_point((staging[at] >> (row % 8u * 4u)) & 0xfu); }
        case 4u: { return zero_point((staging[at] >> (row % 4u * 8u)) & 0xffu); }
        case 5u: { return zero_point((staging[at] >> ((row % 2u * 4u + row % 8u / 2u) * 4u)) & 0xfu); }
        case 6u: { return f32(params[16]); }
        default: {
            let code = (staging[at / 4u] >> (at % 4u * 8u)) & 0xffu;
            let scale = params[TABLE + 257u + (at + params[4]) / NESTED - params[20]];
            return bitcast<f32>(params[TABLE + code]) * bitcast<f32>(scale) + bitcast<f32>(params[TABLE + 256u]);
        }
    }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * WORKGROUP;
    let row = i / params[11];
    if (row >= params[0]) { return; }
    let block = params[10] + i % params[11];
    let source = params[9] + source_row(row);
    let at = source / params[12] * params[13] + block / params[14] * params[15] - params[4];
    packed[params[8] / 4u + (params[1] + row) * params[2] + block] = bitcast<u32>(number(at, source));
}
