// Where on an axis of a table a place of so many is, and how far from there lines are mixed: lines and places have a width, and
// of more lines than places each place has its part.
struct Mixed { centre: f32, reach: f32 }
fn along(place: u32, count: u32) -> Mixed {
    let width = f32(SIDE) / f32(count);
    return Mixed((f32(place) + 0.5) * width - 0.5, max(width, 1.0));
}
