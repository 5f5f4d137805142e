# ruff: noqa: E501  the templates are as long as they are
"""Chat templates that mean harm: each would take for ever, or all memory, or Python's own limits.  Run as a script, it renders
them all and tells what each came to, in JSON."""

import json
import sys
import time

MESSAGES = [{"role": "user", "content": "Hello there, <b>friend</b>!"}, {"role": "assistant", "content": "word " * 200}]
LIMIT = 99_999


def doubling(operation: str, start: str = "'abcd'", times: int = 60, then: str = "{{ ns.t }}") -> str:
    return (
        "{% set ns = namespace(t="
        + start
        + ") %}{% for i in range("
        + str(times)
        + ") %}{% set ns.t = "
        + operation
        + " %}{% endfor %}"
        + then
    )


def nested(open_: str, close: str, depth: int, inside: str = "1") -> str:
    return open_ * depth + inside + close * depth


def often(body: str) -> str:
    loop = "{% for x in range(" + str(LIMIT) + ") %}"
    return loop + loop.replace("x", "y") + body + "{% endfor %}{% endfor %}"


MEGABYTE = "{% set t = 'abcdefgh' * 100000 %}"
SHARED = "{% set ns = namespace(t=[1, 2]) %}{% for i in range(60) %}{% set ns.t = [ns.t, ns.t] %}{% endfor %}"
SHARED_TUPLE = "{% set ns = namespace(t=(1, 2)) %}{% for i in range(60) %}{% set ns.t = (ns.t, ns.t) %}{% endfor %}"
SHARED_DICT = "{% set ns = namespace(t={'a': 1}) %}{% for i in range(60) %}{% set ns.t = {'a': ns.t, 'b': ns.t} %}{% endfor %}"

LOOPS = {
    "nested loops": often(""),
    "nested loops that print": often("a"),
    "nested loops with a condition": "{% for a in range(99999) %}{% for b in range(99999) if false %}{% endfor %}{% endfor %}",
    "a loop over text": "{% for a in 'a' * 999999 %}{% for b in 'b' * 999999 %}{% endfor %}{% endfor %}",
    "a recursive loop": "{% for a in [[1]] recursive %}{{ loop([[1]]) }}{{ loop([[1]]) }}{% endfor %}",
    "a macro that doubles": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(64) }}",
    "an endless macro": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "two macros in turn": "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
    "an endless caller": "{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{{ f() }}",
    "blocks that double": "".join(
        "{% block b" + str(i) + " %}{{ self.b" + str(i + 1) + "() }}{{ self.b" + str(i + 1) + "() }}{% endblock %}"
        for i in range(40)
    )
    + "{% block b40 %}x{% endblock %}",
    "an endless block": "{% block a %}{{ self.a() }}{% endblock %}",
    "a huge range": "{% for a in range(10 ** 12) %}{% endfor %}",
    "ranges as lists": often("{% set z = range(99999) | list %}"),
    "a cycle of loops": "{% for a in range(99999) %}{{ loop.cycle(*range(99999)) }}{% endfor %}",
    "changed of much": SHARED + "{% for a in range(9) %}{{ loop.changed(ns.t) }}{% endfor %}",
    "batches": "{% for a in range(99999) %}{{ range(99999) | batch(1) | list | length }}{% endfor %}",
    "maps of maps": "{% set ns = namespace(g=[1]) %}{% for i in range(90000) %}{% set ns.g = ns.g | map('string') %}{% endfor %}{{ ns.g | list }}",
    "sums": "{% for a in range(99999) %}{{ range(99999) | sum }}{% endfor %}",
    "sorting": "{% for a in range(99999) %}{{ range(99999) | sort(reverse=true) | first }}{% endfor %}",
    "min of much": "{% for a in range(99999) %}{{ range(99999) | min }}{% endfor %}",
}
TEXTS = {
    "long text": "{{ 'a' * 10 ** 11 }}",
    "long text kept": "{% set t = 'a' * 8000000 %}{% set u = t ~ t %}{% set v = u ~ u %}{% set w = v ~ v %}{% set x = w ~ w %}",
    "many texts kept": "{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l, 'a' * 999999 ~ i] %}{% endfor %}",
    "long list": "{{ ([0] * 10 ** 11) | length }}",
    "long tuple": "{{ ((0,) * 10 ** 11) | length }}",
    "doubled by ~": doubling("ns.t ~ ns.t"),
    "doubled by +": doubling("ns.t + ns.t"),
    "doubled lists": doubling("ns.t + ns.t", "[1]"),
    "doubled by join": doubling("[ns.t, ns.t] | join"),
    "doubled by join of a text": doubling("ns.t.join([ns.t, ns.t])"),
    "doubled by format": doubling("'%s%s' | format(ns.t, ns.t)"),
    "doubled by %": doubling("'%s%s' % (ns.t, ns.t)"),
    "doubled by % of one name": doubling("'%(a)s%(a)s%(a)s' % {'a': ns.t}"),
    "doubled by str.format": doubling("'{0}{0}'.format(ns.t)"),
    "doubled by format_map": doubling("'{a}{a}'.format_map({'a': ns.t})"),
    "doubled by replace": doubling("ns.t | replace('a', 'aa') | replace('b', 'bb') | replace('c', 'cc') | replace('d', 'dd')"),
    "doubled by str.replace": doubling("ns.t.replace('', ns.t)"),
    "doubled by tojson": doubling("ns.t | tojson | tojson | tojson", "'\\\"'", 40),
    "doubled by escape": doubling("(ns.t | e | string) ~ ''", "'&'", 99_999),
    "doubled by urlencode": doubling("ns.t | urlencode", "'%'", 99_999),
    "doubled by translate": doubling("ns.t.translate({97: 'aaaaaaaa'})", "'a'"),
    "doubled by expandtabs": "{{ ('\\t' * 99999).expandtabs(99999) }}",
    "doubled by a filter block": "{% set t %}a{% endset %}"
    + "{% set t %}{{ t }}{{ t }}{{ t }}{{ t }}{% endset %}" * 40
    + "{{ t }}",
    "doubled by a macro": "{% macro f(t) %}{{ t }}{{ t }}{% endmacro %}"
    + "{% set x = 'a' %}"
    + "{% set x = f(x) %}" * 60
    + "{{ x }}",
    "constant text in a loop": "{% macro f() %}"
    + "{% for i in range(99999) %}"
    + "x" * 9999
    + "{% endfor %}{% endmacro %}{{ f() }}",
    "output": MEGABYTE + "{% for i in range(9999) %}{{ t }}{% endfor %}",
    "output of lists": MEGABYTE + "{% for i in range(9999) %}{{ [t, t, t] }}{% endfor %}",
    "splits": MEGABYTE + "{% for i in range(9999) %}{% set z = t.split('a') %}{% endfor %}",
    "splits kept": "{% set ns = namespace(l=[]) %}{% for i in range(999) %}{% set ns.l = [ns.l, ('ab' * 999999).split('a')] %}{% endfor %}",
    "letters": MEGABYTE + "{{ t | list | length }}",
    "letters joined": "{{ ('ab' * 4000000) | join('-' * 9999) | length }}",
    "replace of nothing": "{{ ('a' * 999999) | replace('', 'b' * 9999) | length }}",
    "slices": MEGABYTE + "{% for i in range(99999) %}{% set z = t[1:] %}{% endfor %}",
    "reversed": MEGABYTE + "{% for i in range(99999) %}{% set z = t | reverse %}{% endfor %}",
    "upper": MEGABYTE + "{% for i in range(99999) %}{% set z = t | upper %}{% endfor %}",
    "searches": MEGABYTE + "{% for i in range(99999) %}{% set z = ('b' ~ t) in (t ~ t) %}{% endfor %}",
    "a slow search": "{{ ('a' * 99999 ~ 'b') in ('a' * 999999) }}",
    "counts": MEGABYTE + "{% for i in range(99999) %}{% set z = t.count('h') %}{% endfor %}",
    "tags": "{{ ('<' * 999999) | striptags }}",
    "tags of a method": "{{ ('<a' * 999999) | e | forceescape | string }}{{ (('<' * 99999) | safe).striptags() }}",
    "words": MEGABYTE + "{{ t | wordwrap(1) | length }}",
    "word counts": "{% for i in range(9999) %}{{ ('a ' * 499999) | wordcount }}{% endfor %}",
    "titles": "{% for i in range(9999) %}{{ ('a ' * 499999) | title | length }}{% endfor %}",
    "links": "{{ ('http://a ' * 99999) | urlize }}",
    "pretty": SHARED + "{{ ns.t | pprint }}",
}
WIDTHS = {
    "center": "{{ 'a' | center(10 ** 11) }}",
    "constant center": "{{ 'a' | center(99999999999) }}",
    "many centers": "{% for i in range(99999) %}{% set z = 'a' | center(99999) %}{% endfor %}",
    "ljust": "{{ 'a'.ljust(10 ** 11) }}",
    "zfill": "{{ 'a'.zfill(99999999) }}",
    "printf": "{{ '%99999999999d' % 1 }}",
    "printf often": "{% for i in range(99999) %}{% set z = '%9999d' * 999 % ((1,) * 999) %}{% endfor %}",
    "printf with a star": "{{ '%*d' % (99999999, 1) }}",
    "printf precision": "{{ '%.999999999f' % 1 }}",
    "printf filter": "{{ '%99999999d' | format(1) }}",
    "format": "{{ '{:99999999999}'.format(1) }}",
    "format with a field": "{{ '{:{}}'.format(1, 99999999) }}",
    "format with many fields": "{{ ('{0}' * 99999).format('a' * 99999) }}",
    "indent of tojson": "{{ messages | tojson(indent=10 ** 11) }}",
    "wide indent of tojson": "{{ (range(9999) | list) | tojson(indent=99999) }}",
    "indent": "{{ ('a\\n' * 99999) | indent(99999) }}",
    "indent by text": "{{ ('a\\n' * 99999) | indent('a' * 99999) }}",
    "truncate": "{{ 'abc' | truncate(1, true, 'x' * 99999999) }}",
    "round": "{{ 1.5 | round(10 ** 9) }}",
    "slice": "{{ [1] | slice(10 ** 9) | list }}",
    "batch fill": "{{ [1] | batch(10 ** 9, 0) | list }}",
    "time format": "{{ strftime_now('%9999999d') }}{{ strftime_now('%c' * 99999) }}",
    "to_bytes": "{{ (1).to_bytes(10 ** 9, 'big') }}",
    "fromkeys": "{% for i in range(9999) %}{% set z = {}.fromkeys(range(99999)) %}{% endfor %}",
}
NUMBERS = {
    "power": "{{ 10 ** (10 ** 10) }}",
    "power of a power": "{{ 9 ** 9 ** 9 ** 9 }}",
    "product": doubling("ns.t * ns.t", "9", 90),
    "a long number": "{{ " + "9" * 200_000 + " }}",
    "a long hexadecimal number": "{{ 0x" + "f" * 200_000 + " // 3 }}",
    "int of a text": "{{ ('f' * 8000000) | int(base=16) }}",
    "bytes as a number": "{% set n = (1).from_bytes('a' * 8000000, 'big') %}{{ n // 3 }}",
    "infinity": "{{ 1e999 }}{{ 1e999 | int }}{{ 1e999 | round }}",
    "division by nothing": "{{ 1 // 0 }}",
}
SHAPES = {
    "shared lists printed": SHARED + "{{ ns.t }}",
    "shared lists as text": SHARED + "{{ ns.t | string | length }}",
    "shared lists as JSON": SHARED + "{{ ns.t | tojson }}",
    "shared lists joined": SHARED + "{{ ns.t | join }}",
    "shared lists with ~": SHARED + "{{ ns.t ~ '' }}",
    "shared lists with %": SHARED + "{{ '%s' % ns.t }}",
    "shared lists with format": SHARED + "{{ '{}'.format(ns.t) }}",
    "shared lists compared": SHARED + SHARED.replace("ns", "ms") + "{{ ns.t == ms.t }}",
    "shared lists looked for": SHARED + SHARED.replace("ns", "ms") + "{{ ns.t in [ms.t] }}",
    "shared lists by a test": SHARED + SHARED.replace("ns", "ms") + "{{ ns.t is eq(ms.t) }}",
    "shared lists in an error": SHARED + "{{ raise_exception(ns.t) }}",
    "shared lists sorted": SHARED + "{{ [ns.t, ns.t] | sort }}",
    "shared dicts": SHARED_DICT + "{{ ns.t }}",
    "shared dicts as JSON": SHARED_DICT + "{{ ns.t | tojson }}",
    "shared tuples hashed": SHARED_TUPLE + "{{ {ns.t: 1} }}",
    "shared tuples looked up": SHARED_TUPLE + "{{ {}[ns.t] }}{{ {}.get(ns.t) }}",
    "shared tuples unique": SHARED_TUPLE + "{{ [ns.t] | unique | list }}",
    "shared tuples grouped": SHARED_TUPLE + "{{ [{'a': ns.t}] | groupby('a') }}",
    "a namespace in itself": "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}",
    "namespaces that share": doubling("namespace(a=ns.t, b=ns.t)", "1"),
    "a deep list": doubling("[ns.t]", "[]", 99_999),
    "a deep list as JSON": doubling("[ns.t]", "[]", 99_999, "{{ ns.t | tojson }}"),
    "deep lists compared": doubling("[ns.t]", "[]", 99_999, "{{ ns.t == [ns.t] }}"),
    "sum of lists": "{{ ([[1, 2, 3]] * 99999) | sum(start=[]) | length }}",
    "a long error": "{{ raise_exception('a' * 8000000) }}",
    "a long name": "{{ messages['a' * 8000000].b }}",
}
SOURCES = {
    "deep parentheses": "{{ " + nested("(", ")", 5000) + " }}",
    "deep brackets": "{{ " + nested("[", "]", 5000) + " }}",
    "deep braces": "{{ " + nested("{1:", "}", 5000) + " }}",
    "300 parentheses": "{{ " + nested("[", "]", 300) + " }}",
    "deep calls": "{{ " + nested("dict(a=", ")", 3000) + " }}",
    "deep ifs": nested("{% if 1 %}", "{% endif %}", 2000),
    "deep loops": nested("{% for a in [1] %}", "{% endfor %}", 30),
    "deeper loops": nested("{% for a in [1] %}", "{% endfor %}", 500),
    "deep sets": nested("{% set a %}", "{% endset %}", 500),
    "deep macros": nested("{% macro a() %}", "{% endmacro %}", 500),
    "deep filters": "{{ 1" + " | string" * 20_000 + " }}",
    "deep attributes": "{{ a" + ".b" * 50_000 + " }}",
    "deep nots": "{{ " + "not " * 20_000 + "1 }}",
    "deep signs": "{{ " + "-" * 20_000 + "1 }}",
    "deep sums": "{{ 1" + " + 1" * 20_000 + " }}",
    "deep choices": "{{ 1" + " if 1 else 1" * 9000 + " }}",
    "many outputs": "{{ a }}" * 30_000,
    "many variables": "".join("{% if a %}{% set b" + str(i) + " = 1 %}{% endif %}" for i in range(6000)),
    "many tests": "{% if a %}" + "{% elif b %}" * 20_000 + "{% endif %}",
    "many literals": "{{ [" + "1, " * 80_000 + "] }}",
    "an unclosed text": "{{ '" + "a" * 200_000,
    "unclosed comments": "{#" * 100_000,
    "unclosed outputs": "{{" * 100_000,
    "raw": "{% raw %}" * 20_000,
    "too long": "a" * 5_000_000,
    "a foreign file": "{% include '/etc/passwd' %}",
    "a foreign module": "{% import 'os' as os %}",
    "a foreign parent": "{% extends 'x' %}",
    "an unknown filter": "{{ 1 | nothing }}",
    "no end": "{% if 1 %}",
}
TEMPLATES = {**LOOPS, **TEXTS, **WIDTHS, **NUMBERS, **SHAPES, **SOURCES}


def outcome(source: str) -> tuple[float, str]:
    """Seconds, and what a template came to."""
    from fanlight.errors import FanlightError
    from fanlight.text.chat_template import ChatTemplate

    start = clock()
    try:
        text = f"{len(ChatTemplate(source, {}).render(MESSAGES))} characters"
    except FanlightError as error:
        text = f"{type(error).__name__}: {error}"
    return round(clock() - start, 2), text[:200]


clock = getattr(time, "thread_time", time.perf_counter)


def main() -> None:
    import resource

    outcome("{{ 1 }}")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, source in TEMPLATES.items():
        seconds, text = outcome(source)
        most = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
        print(json.dumps([name, seconds, most, text]))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
