// RMSNorm is deferred: activations are staged times the norm's weight, and results are multiplied by 1/rms afterwards.
const NORMALIZE = true;
fn norm4(k: u32) -> vec4<f32> {
    var v = vec4<f32>(0.0);
    for (var i = 0u; i < 4u; i++) {
        if (k + i < K) { v[i] = norm[k + i]; }
    }
    return v;
}
