// Where on an axis of a table a place of so many is, and how far from there lines are mixed: its first line lies at the first
// place, its last at the last.
struct Mixed { centre: f32, reach: f32 }
fn along(place: u32, count: u32) -> Mixed { return Mixed(f32(place * (SIDE - 1u)) / f32(max(count, 2u) - 1u), 1.0); }
