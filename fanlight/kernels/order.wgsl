// One workgroup counts, adds up and sorts. See order.py.

var<workgroup> counts: array<atomic<u32>, EXPERTS>;
var<workgroup> places: array<atomic<u32>, EXPERTS>; // of an expert's next part
var<workgroup> tiles: array<u32, EXPERTS>; // before an expert's first
var<workgroup> chosen: array<u32, WORKGROUP>; // a part's expert, of as many parts as there are threads

fn expert_of(part: u32) -> u32 { return min(u32(route[part / TOP_K * 2u * TOP_K + part % TOP_K]), EXPERTS - 1u); }

// How many of the parts before the thread's have its expert.
fn before(thread: u32, expert: u32) -> u32 {
    var same = 0u;
    for (var i = 0u; i < thread; i++) { same += select(0u, 1u, chosen[i] == expert); }
    return same;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) thread: u32) {
    let parts = min(inputs[0] * TOP_K, PARTS);
    for (var e = thread; e < EXPERTS; e += WORKGROUP) { atomicStore(&counts[e], 0u); }
    for (var i = thread; i < 3u * TILES; i += WORKGROUP) { order[PARTS + i] = 0u; }
    storageBarrier();
    workgroupBarrier();
    for (var part = thread; part < parts; part += WORKGROUP) { atomicAdd(&counts[expert_of(part)], 1u); }
    workgroupBarrier();
    if (thread == 0u) {
        var start = 0u;
        var tile = 0u;
        for (var e = 0u; e < EXPERTS; e++) {
            let count = atomicLoad(&counts[e]);
            atomicStore(&places[e], start);
            tiles[e] = tile;
            start += count;
            tile += (count + HEIGHT - 1u) / HEIGHT;
        }
    }
    workgroupBarrier();
    for (var e = thread; e < EXPERTS; e += WORKGROUP) {
        let start = atomicLoad(&places[e]);
        let end = start + atomicLoad(&counts[e]);
        var at = PARTS + 3u * tiles[e];
        for (var first = start; first < end; first += HEIGHT) {
            order[at] = e;
            order[at + 1u] = first;
            order[at + 2u] = min(first + HEIGHT, end);
            at += 3u;
        }
    }
    for (var first = 0u; first < PARTS; first += WORKGROUP) {
        let part = first + thread;
        workgroupBarrier();
        let expert = select(EXPERTS, expert_of(min(part, PARTS - 1u)), part < parts);
        chosen[thread] = expert;
        workgroupBarrier();
        var place = 0u;
        if (part < parts) { place = atomicLoad(&places[expert]) + before(thread, expert); }
        workgroupBarrier();
        if (part < parts) {
            order[place] = part;
            atomicAdd(&places[expert], 1u);
        }
    }
}
