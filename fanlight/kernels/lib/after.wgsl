// Whether `a` comes after `last` in the order of falling values, equal ones by rising token: so the n-th largest is found by
// asking n times for the best of those after the one before, and nothing is marked as taken.
fn is_after(a: Best, last: Best) -> bool {
    return a.value < last.value || (a.value == last.value && a.token > last.token);
}
const NONE = Best(-3e38, 0xffffffffu);
