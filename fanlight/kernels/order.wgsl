// One workgroup counts, adds up and sorts; a thread takes care of every WORKGROUP-th expert. See order.py.
const CHUNK = 4096u; // parts that are looked through at a time

var<workgroup> chosen: array<u32, CHUNK / 2u>; // experts of a chunk's parts, two in a word
var<workgroup> ends: array<u32, EXPERTS>; // of an expert's parts, as far as they are known
var<workgroup> tiles: array<u32, EXPERTS>; // before an expert's first

fn expert_of(part: u32, parts: u32) -> u32 {
    if (part >= parts) { return 0xffffu; }
    return min(u32(route[part / TOP_K * 2u * TOP_K + part % TOP_K]), EXPERTS - 1u);
}

// Looks through all parts for those of the thread's experts: counts them, or puts them in their places.
fn look(parts: u32, thread: u32, puts: bool) {
    for (var first = 0u; first < PARTS; first += CHUNK) {
        workgroupBarrier();
        for (var i = thread; i < CHUNK / 2u; i += WORKGROUP) {
            chosen[i] = expert_of(first + 2u * i, parts) | (expert_of(first + 2u * i + 1u, parts) << 16u);
        }
        workgroupBarrier();
        let count = min(CHUNK, PARTS - first);
        for (var e = thread; e < EXPERTS; e += WORKGROUP) {
            var end = ends[e];
            for (var i = 0u; i < count; i++) {
                if (((chosen[i / 2u] >> (16u * (i % 2u))) & 0xffffu) == e) {
                    if (puts) { order[end] = first + i; }
                    end++;
                }
            }
            ends[e] = end;
        }
    }
    workgroupBarrier();
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) thread: u32) {
    let parts = min(inputs[0] * TOP_K, PARTS);
    for (var e = thread; e < EXPERTS; e += WORKGROUP) { ends[e] = 0u; }
    look(parts, thread, false);
    if (thread == 0u) {
        var start = 0u;
        var tile = 0u;
        for (var e = 0u; e < EXPERTS; e++) {
            let count = ends[e];
            ends[e] = start;
            tiles[e] = tile;
            start += count;
            tile += (count + HEIGHT - 1u) / HEIGHT;
        }
    }
    workgroupBarrier();
    for (var i = thread; i < TILES; i += WORKGROUP) {
        for (var j = 0u; j < 3u; j++) { order[PARTS + 3u * i + j] = 0u; }
    }
    storageBarrier();
    workgroupBarrier();
    var starts: array<u32, (EXPERTS + WORKGROUP - 1u) / WORKGROUP>;
    for (var e = thread; e < EXPERTS; e += WORKGROUP) { starts[e / WORKGROUP] = ends[e]; }
    look(parts, thread, true);
    for (var e = thread; e < EXPERTS; e += WORKGROUP) {
        var at = PARTS + 3u * tiles[e];
        for (var first = starts[e / WORKGROUP]; first < ends[e]; first += HEIGHT) {
            order[at] = e;
            order[at + 1u] = first;
            order[at + 2u] = min(first + HEIGHT, ends[e]);
            at += 3u;
        }
    }
}
