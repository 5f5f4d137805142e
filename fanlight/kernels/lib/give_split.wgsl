// Not yet divided: the reader joins the splits by their (maximum, sum of weights).
fn give(head: u32, split: u32, i: u32, joined: Joined, is_last: bool, thread: u32) {
    if (!is_last) { return; }
    y[(head * SPLITS + split) * (D / 4u) + i] = joined.sum;
    if (i == 0u) { state[head * SPLITS + split] = vec2<f32>(joined.top, joined.total); }
}
