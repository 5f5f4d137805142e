"""Regular expressions: random texts of the automaton judged by `re`, texts that `re` takes judged by the automaton, and
llguidance on both."""

import re
from random import Random

import llguidance
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanlight.errors import RequestError
from fanlight.grammar import compile_format
from fanlight.grammar.regex import regex
from tests.grammar.walks import accepts, walk

PATTERNS = [
    *(
        r"a+b*",
        r"^a+$",
        r"(foo|bar){2,3}",
        r"[^\s]+",
        r"\bfoo\b",
        r"\w+@\w+\.(com|org)",
        r"\d{4}-\d{2}-\d{2}",
        r"[\w\W]*x",
        r"(a|b)*abb",
    ),
    *(r"^(?:\+1)?\d{3,10}$", r"é+[à-ü]?", r"a{2}", r"a\b.", r"^$", r"[a-z-]+", r"a|^b|c$", r"(?P<n>a)(?:b)?", r"a{x}"),
    *(r"\x41\u0042", r"\Aa\Z", r"a*?b+?c??", r"[\d\-x]+", r".", r"\.", r"[.]", r"\W\D\S", r"[^\w]{1,2}"),
]
REFUSED = [
    r"(?=a)",
    r"(?!a)",
    r"(?<=a)b",
    r"(a)\1",
    r"(?i)a",
    r"[",
    r"(",
    r")",
    r"a{2,1}",
    r"*a",
    r"a**",
    r"\p{Greek}",
    r"\q",
    r"a++",
    r"(?>a)",
    r"a{,3}",
]
LARGE = [r"(a{1000}){1000}", r".*a.{20}", r"(a|b)*a(a|b){20}", r"a{20000}", "(" * 500 + "a" + ")" * 500]
LETTERS = "abcfox1-. @ér\nAZ_"


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("search", [False, True])
def test_as_python_reads_them(pattern, search):
    """What the automaton takes, `re` takes; and the other way for what no reading disputes."""
    rng, dfa = Random(0), regex(pattern, search)
    judge = re.compile(pattern).search if search else re.compile(pattern).fullmatch
    wide = regex(pattern, search, wide=True)
    for _ in range(500):
        text = "".join(rng.choice(LETTERS) for _ in range(rng.randint(0, 6)))
        if text in dfa:
            assert judge(text), text
        elif judge(text):
            assert text in wide, text
    for _ in range(20) if not search else ():
        text = walk(compile_format({"type": "regex", "pattern": pattern}), rng).decode()
        assert judge(text), text


@pytest.mark.parametrize("pattern", REFUSED)
def test_what_is_not_regular_is_refused(pattern):
    with pytest.raises(RequestError, match="regular expression"):
        compile_format({"type": "regex", "pattern": pattern})


@pytest.mark.parametrize("pattern", LARGE)
def test_what_is_too_large_is_refused(pattern):
    with pytest.raises(RequestError, match="too large") as refused:
        compile_format({"type": "regex", "pattern": pattern})
    assert refused.value.param == "format.pattern"


def patterns() -> st.SearchStrategy[str]:
    atoms = st.sampled_from(["a", "b", "é", ".", "[ab]", "[^a]", r"\d", r"\w", r"\s", r"\S", "-", r"\.", "ab"])
    return st.recursive(
        atoms,
        lambda held: st.one_of(
            st.lists(held, min_size=1, max_size=3).map("".join),
            st.lists(held, min_size=2, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
            st.tuples(held, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "*?"])).map(lambda pair: f"({pair[0]}){pair[1]}"),
        ),
        max_leaves=6,
    )


@given(patterns(), st.lists(st.text(LETTERS, max_size=5), max_size=20), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_random_patterns(pattern, texts, random):
    narrow, wide, judge = regex(pattern), regex(pattern, wide=True), re.compile(pattern)
    for text in texts:
        found = judge.fullmatch(text) is not None
        assert (text in narrow) <= found <= (text in wide), text
    assert judge.fullmatch(walk(compile_format({"type": "regex", "pattern": pattern}), Random(random.random())).decode())


@pytest.mark.parametrize("pattern", [p for p in PATTERNS if not re.search(r"[$^]|\\[AZbBWDS]|\(\?|\{,|\{x|\[\\?\w?\\W", p)])
def test_llguidance_agrees(pattern):
    rng, ours = Random(1), compile_format({"type": "regex", "pattern": pattern})
    grammar = llguidance.LLMatcher.grammar_from_regex(pattern)
    tokens = llguidance.LLTokenizer("byte")
    for _ in range(10):
        text = walk(ours, rng, 20)
        theirs = llguidance.LLMatcher(tokens, grammar)
        assert theirs.consume_tokens(list(text)) and theirs.is_accepting(), text
    assert not accepts(ours, b"\xff")
