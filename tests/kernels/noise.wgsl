@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < arrayLength(&words)) { noises[id.x] = noise(words[id.x].x, words[id.x].y); }
}
