fn give(head: u32, split: u32, i: u32, joined: Joined, is_last: bool, thread: u32) {
    if (is_last) { y[head * (D / 4u) + i] = joined.sum / joined.total; }
}
