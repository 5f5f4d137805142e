// As norm_rms.wgsl, where rows are whole vec4.
const NORMALIZE = true;
fn norm4(k: u32) -> vec4<f32> { return norm[k / 4u]; }
