// The rows of a tile: neighbours, of a product of one weight.
struct Span {
    first: u32,
    end: u32,
}
fn span_of(tile: u32, height: u32) -> Span { return Span(tile * height, inputs[0]); }
fn row_of_x(i: u32) -> u32 { return i; }
fn row_of_y(i: u32) -> u32 { return i; }
fn weight_group(row: u32, g: u32) -> u32 { return row * GROUPS + g; }
fn extras_column(out: u32) -> u32 { return out; }
