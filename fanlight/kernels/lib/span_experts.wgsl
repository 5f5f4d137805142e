// The rows of a tile are parts that chose its expert, as order.py has put them.
struct Span {
    first: u32,
    end: u32,
}
fn span_of(tile: u32, height: u32) -> Span {
    let at = TILES_AT + tile * 3u;
    let here = order[at] - FIRST;
    expert = here;
    return Span(order[at + 1u], select(0u, order[at + 2u], here < EXPERTS));
}
fn row_of_y(i: u32) -> u32 { return order[i]; }
