"""Stop strings against a character-by-character oracle, however the text is cut."""

from hypothesis import example, given
from hypothesis import strategies as st

from fanlight.text.stop import StopStrings

TEXT = st.text(alphabet="ab<|", max_size=30)
STOPS = st.lists(st.text(alphabet="ab<|", max_size=4), max_size=4)


def oracle(text: str, stops: list[str]) -> tuple[str, str | None]:
    """The shortest beginning of the text that ends with a stop string, without the longest such."""
    for end in range(1, len(text) + 1):
        matched = [s for s in stops if s and text[:end].endswith(s)]
        if matched:
            longest = max(matched, key=len)
            return text[: end - len(longest)], longest
    return text, None


@given(text=TEXT, stops=STOPS, data=st.data())
@example(text="aab", stops=["ab"], data=None)
@example(text="ab<", stops=["ab<|", "b<"], data=None)
def test_stop_strings(text: str, stops: list[str], data: st.DataObject | None) -> None:
    matcher = StopStrings(stops)
    out, rest, cuts = [], text, []
    while rest:
        size = data.draw(st.integers(1, len(rest))) if data else 1
        out.append(matcher.feed(rest[:size]))
        cuts.append(rest[:size])
        rest = rest[size:]
        seen = "".join(cuts)
        # What is out was safe to send: no stop string can still begin in it.
        assert oracle(text, stops)[0].startswith("".join(out))
        if matcher.matched is None and any(stops):
            assert len(seen) - len("".join(out)) < max((len(s) for s in stops), default=0)
    out.append(matcher.flush())
    assert ("".join(out), matcher.matched) == oracle(text, stops)


def test_of_several_the_first_that_is_complete_counts() -> None:
    for stops, text, out, matched in (
        (["b", "a"], "xab", "x", "a"),
        (["bc", "abc"], "zabcd", "z", "abc"),
        (["abcd", "bc"], "abcd", "a", "bc"),
    ):
        matcher = StopStrings(stops)
        assert (matcher.feed(text), matcher.matched) == (out, matched)


def test_text_that_cannot_begin_a_stop_string_goes_out_at_once() -> None:
    matcher = StopStrings(["</answer>"])
    assert matcher.feed("Hello <") == "Hello "
    assert matcher.feed("b> and </ans") == "<b> and "
    assert matcher.feed("wer>!") == ""
    assert matcher.matched == "</answer>"
    assert matcher.feed("more") == matcher.flush() == ""
