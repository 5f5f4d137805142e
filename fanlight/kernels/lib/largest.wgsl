// The best of what a workgroup's threads each found, told to all of them.
var<workgroup> best: array<Best, WORKGROUP>;
fn largest(thread: u32, mine: Best) -> Best {
    workgroupBarrier();
    best[thread] = mine;
    workgroupBarrier();
    for (var step = WORKGROUP / 2u; step > 0u; step /= 2u) {
        if (thread < step) { best[thread] = better(best[thread], best[thread + step]); }
        workgroupBarrier();
    }
    return workgroupUniformLoad(&best[0]);
}
