// A walk through a slot's grammar: see grammar.py. What the walk pushed itself lies in registers, two levels in a word, the top
// level in the low half of `near.x`; below `floor` the stack is the slot's own.
const GOTO = 1u;
const PUSH = 2u;
const HALF = vec4<u32>(16u);

struct Tables {
    num_classes: u32,
    classes: u32,
    actions: u32,
    exits: u32,
    pushes: u32,
    returns: u32,
}

struct Walk {
    state: u32,
    depth: u32,
    floor: u32,
    near: vec4<u32>,
    far: vec4<u32>,
}

fn tables_of(b: u32) -> Tables {
    let at = grammar_of(b) - 1u;
    return Tables(
        grammar[at], at + grammar[at + 2u], at + grammar[at + 3u], at + grammar[at + 4u], at + grammar[at + 5u], at + grammar[at + 6u]);
}

fn walk_of(slot: u32) -> Walk {
    let depth = grammar_state[slot * STATE_WORDS + 1u];
    return Walk(grammar_state[slot * STATE_WORDS], depth, depth, vec4<u32>(), vec4<u32>());
}

fn push(w: ptr<function, Walk>, level: u32) {
    let near = (*w).near;
    let far = (*w).far;
    (*w).far = (far << HALF) | (vec4<u32>(near.w, far.xyz) >> HALF);
    (*w).near = (near << HALF) | vec4<u32>(level, near.xyz >> HALF.xyz);
    (*w).depth += 1u;
}

fn taken(w: ptr<function, Walk>) -> u32 {
    let near = (*w).near;
    let far = (*w).far;
    (*w).near = (near >> HALF) | (vec4<u32>(near.yzw, far.x) << HALF);
    (*w).far = (far >> HALF) | (vec4<u32>(far.yzw, 0u) << HALF);
    (*w).depth -= 1u;
    return near.x & 0xffffu;
}

fn pop(t: Tables, slot: u32, w: ptr<function, Walk>) -> bool {
    let exit = grammar[t.exits + (*w).state];
    if (exit == 0u || (*w).depth == 0u) { return false; }
    var level = 0u;
    if ((*w).depth > (*w).floor) {
        level = taken(w);
    } else {
        (*w).depth -= 1u;
        (*w).floor = (*w).depth;
        level = grammar_state[slot * STATE_WORDS + 2u + (*w).depth];
    }
    (*w).state = grammar[t.returns + level + exit - 1u];
    return true;
}

fn step(t: Tables, slot: u32, w: ptr<function, Walk>, byte: u32) -> bool {
    let column = grammar[t.classes + byte];
    for (var look = 0u; look < MAX_LOOKS; look++) {
        let action = grammar[t.actions + (*w).state * t.num_classes + column];
        let kind = action & 3u;
        let value = (action >> 2u) & 0x3fffffu;
        if ((*w).depth + (action >> 24u) > MAX_DEPTH) { return false; }
        if (kind == GOTO) {
            (*w).state = value;
            return true;
        }
        if (kind == PUSH) {
            if ((*w).depth == (*w).floor + MAX_PUSHED) { return false; }
            push(w, grammar[t.pushes + 2u * value + 1u]);
            (*w).state = grammar[t.pushes + 2u * value];
        } else if (!pop(t, slot, w)) {
            return false;
        }
    }
    return false;
}

fn is_complete(t: Tables, slot: u32, start: Walk) -> bool {
    var w = start;
    while (w.depth > 0u) {
        if (!pop(t, slot, &w)) { return false; }
    }
    return grammar[t.exits + w.state] != 0u;
}

fn text_start(token: u32) -> u32 { return token_bytes[token] & 0x7fffffffu; }
fn is_end(token: u32) -> bool { return (token_bytes[token] & 0x80000000u) != 0u; }

// Take a token's bytes.
fn takes(t: Tables, slot: u32, w: ptr<function, Walk>, token: u32) -> bool {
    let end = text_start(token + 1u);
    for (var at = text_start(token); at < end; at++) {
        let byte = (token_bytes[TEXT_AT + (at >> 2u)] >> (8u * (at & 3u))) & 255u;
        if (!step(t, slot, w, byte)) { return false; }
    }
    return true;
}

fn allows(t: Tables, slot: u32, start: Walk, token: u32, may_end: bool) -> bool {
    if (text_start(token) == text_start(token + 1u)) { return may_end && is_end(token) && is_complete(t, slot, start); }
    var w = start;
    return takes(t, slot, &w, token);
}
