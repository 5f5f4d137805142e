# ruff: noqa: E501  the templates are as long as they are
"""Files that mean harm end in a clear error or an ordinary result, soon and in little memory; what is ordinary is not taken for harm."""

import importlib.util
import json
import shutil
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from fanlight.driver import run
from fanlight.errors import FanlightError, RequestError, UnsupportedModel
from fanlight.text.chat_template import ChatTemplate
from fanlight.text.gguf_vocabulary import SPLITS
from fanlight.text.tokenizer import Tokenizer, open_tokenizer
from fanlight.text.tokenizer_json import check_pattern
from tests.text.hostile_templates import TEMPLATES
from tests.text.hostile_tokenizers import SPECS
from tests.text.test_chat import CHATML, LLAMA_LIKE, MISTRAL_LIKE, SPECIAL
from tests.text.vocabularies import byte_level_json

MAX_SECONDS, MAX_MEGABYTES = 2, 200
ROOT = Path(__file__).parents[2]


def outcomes(script: str) -> dict[str, list[Any]]:
    """What the script tells of each case, in a process of its own, since some would end it."""
    command = [sys.executable, "-m", f"tests.text.{script}"]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=570, check=True).stdout.splitlines()
    return {row[0]: row[1:] for row in map(json.loads, lines) if len(row) > 1}


@pytest.mark.minutes
def test_templates() -> None:
    found = outcomes("hostile_templates")
    assert found.keys() == TEMPLATES.keys() and len(found) > 150
    assert [(name, row) for name, row in found.items() if row[0] > MAX_SECONDS or row[1] > MAX_MEGABYTES] == []
    assert [name for name, row in found.items() if " characters" not in row[2] and "chat template" not in row[2]] == []
    assert sum("out of hand" in row[2] for row in found.values()) > 80


IN_PAGE = """
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { loadPyodide } from "pyodide";
import { pythonConfig } from "./dist/python.js";
const [templates, names] = process.argv.slice(1);
const sources = JSON.parse(gunzipSync(readFileSync("dist/python-sources.json.gz")).toString());
sources["hostile_templates.py"] = readFileSync(templates, "utf8");
console.error = () => {};
const boot = async () => (await loadPyodide({ ...pythonConfig(sources), stderr: () => {} })).pyimport("hostile_templates");
let hostile = await boot();
for (const name of JSON.parse(names)) {
  try {
    console.log(JSON.stringify([name, ...hostile.outcome(hostile.TEMPLATES.get(name)).toJs()]));
  } catch (error) {
    console.log(JSON.stringify([name, 0, `Python ended: ${error.message.split("\\n")[0]}`]));
    hostile = await boot();
  }
}
process.exit(0);
"""
WEB = ROOT / "web"
HAS_PYODIDE = shutil.which("node") and (WEB / "dist" / "python-sources.json.gz").is_file()
# A page's Python dies where a stack is full: in Node sooner than in a browser. Of lists in each other it does when they are freed.
DEEP = ("a deep list", "a deep list as JSON", "deep lists compared")
STACKED = [name for name in TEMPLATES if name.startswith(("deep", "an endless")) and name not in DEEP]
STACKED += ["a recursive loop", "a macro that doubles", "two macros in turn", "blocks that double", "300 parentheses"]


def outcomes_in_page(names: list[str]) -> dict[str, list[Any]]:
    """Seconds and outcome, in Pyodide under Node, which begins anew where it dies."""
    script = [
        "node",
        "--input-type=module",
        "-e",
        IN_PAGE,
        str(Path(__file__).parent / "hostile_templates.py"),
        json.dumps(names),
    ]
    lines = subprocess.run(script, cwd=WEB, capture_output=True, text=True, timeout=900, check=True).stdout.splitlines()
    return {row[0]: row[1:] for row in (json.loads(line) for line in lines if line.startswith("["))}


@pytest.mark.skipif(not HAS_PYODIDE, reason="needs node and the built package: python scripts/build_web.py")
def test_no_template_fills_the_stack_of_a_page() -> None:
    found = outcomes_in_page(STACKED)
    assert list(found) == STACKED and len(found) > 20
    assert [name for name, (_, text) in found.items() if " characters" not in text and "chat template" not in text] == []


@pytest.mark.minutes
@pytest.mark.timeout(1000)
@pytest.mark.skipif(not HAS_PYODIDE, reason="needs node and the built package: python scripts/build_web.py")
def test_templates_in_a_page() -> None:
    found = outcomes_in_page(list(TEMPLATES))
    assert found.keys() == TEMPLATES.keys()
    assert [name for name, (_, text) in found.items() if text.startswith("Python ended") and name not in DEEP] == []
    kinds = (" characters", "chat template", "Python ended")
    assert [name for name, (_, text) in found.items() if not any(kind in text for kind in kinds)] == []
    print(sorted(((seconds, name) for name, (seconds, _) in found.items()), reverse=True)[:5])


def test_tokenizers() -> None:
    found = outcomes("hostile_tokenizers")
    assert found.keys() == {*SPECS, "a GGUF piece of 400 kB"} and len(found) > 50
    assert [(name, row) for name, row in found.items() if row[0] > MAX_SECONDS or row[1] > MAX_MEGABYTES] == []
    assert sum(row[2].startswith("refused: ") for row in found.values()) > 45


def conversation(count: int, words: int) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[i % 2], "content": f"<b>{i}</b> " + "word " * words} for i in range(count)]


@pytest.mark.parametrize("template", [CHATML, LLAMA_LIKE, MISTRAL_LIKE])
def test_much_that_is_ordinary(template: str) -> None:
    """300 long messages; a few of a megabyte; a text that is built up message by message."""
    for messages in (conversation(301, 400), conversation(5, 200_000)):
        text = ChatTemplate(template, SPECIAL).render(messages)
        assert len(text) > sum(len(m["content"]) for m in messages)
    gathers = "{% set ns = namespace(t='') %}{% for m in messages %}{% set ns.t = ns.t + m.content %}{% endfor %}{{ ns.t }}"
    messages = conversation(300, 400)
    assert ChatTemplate(gathers, {}).render(messages) == "".join(m["content"] for m in messages)


def test_a_slow_device_takes_the_same_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a page, where there is no clock of a thread's own: hours pass between two looks at the other ones."""
    monkeypatch.delattr(time, "thread_time")
    for name in ("perf_counter", "monotonic", "time"):
        monkeypatch.setattr(time, name, count(0.0, 3600.0).__next__)
    spec = importlib.util.find_spec("fanlight.text.template_budget")
    budgets = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(budgets)
    monkeypatch.setattr("fanlight.text.chat_template.Budget", budgets.Budget)
    template = ChatTemplate(CHATML, SPECIAL)
    assert template.render(conversation(301, 4)).count("word") == 4 * 301
    assert budgets.Budget().steps == budgets.MAX_STEPS


def test_a_call_pays_for_its_arguments() -> None:
    with pytest.raises(UnsupportedModel, match="out of hand"):
        ChatTemplate("{% for a in range(6) %}{{ loop.cycle(*range(99999)) }}{% endfor %}", {}).render(conversation(1, 1))


def test_who_is_at_fault() -> None:
    """The template where it cannot take one word; the request where only these messages are too much."""
    slow = "{% for m in messages %}{% for a in m.content %}{% for b in m.content %}{% endfor %}{% endfor %}{% endfor %}"
    assert ChatTemplate(slow, {}).render([{"role": "user", "content": "word " * 50}]) == ""
    with pytest.raises(RequestError, match="these messages are too much") as caught:
        ChatTemplate(slow, {}).render([{"role": "user", "content": "word " * 5000}])
    assert caught.value.param == "messages"
    with pytest.raises(UnsupportedModel, match="out of hand"):
        ChatTemplate("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", {}).render(
            conversation(1, 1)
        )


@pytest.mark.parametrize("value", [7, 99_999, 150_000, 2_000_000_000, -5_000_000, 1.5e9, "x" * 200_000])
def test_data_is_no_count(value: Any) -> None:
    template = "{% macro show(v, w=262144) %}[{{ v }}|{{ w }}]{% endmacro %}{% set s = namespace(n=262144) %}{{ show(value) }}{{ s.n | default(524288) }}"
    assert ChatTemplate(template, {}).render([], value=value) == f"[{value}|262144]262144"


@pytest.mark.parametrize(
    "pattern", ["'**%s**' % 'x'", "'build 20240115: %s' % 'x'", "'%5.1f|%-8s|' % (2.5, 'x')", "'%(a)s' % {'a': 1}"]
)
def test_ordinary_formats(pattern: str) -> None:
    assert ChatTemplate("{{ " + pattern + " }}", {}).render([]) == str(eval(pattern))


def test_no_known_split_is_taken_for_harm() -> None:
    for split in SPLITS.values():
        for pattern in split.patterns:
            check_pattern(pattern, "")
    for pattern in (r"(?:\r?\n)+", r"[(+)*]+", r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))", r"(?i:[sdmt]|ll|ve|re)+x", r"\(a+\)+"):
        check_pattern(pattern, "")
    for pattern in ("(a+)+", "(?:a*b?)*", "(?:x(a+))+", "((a+))+", "(a{2,})*", "(?i:a+|b)+"):
        with pytest.raises(UnsupportedModel, match="for ever"):
            check_pattern(pattern, "")


def test_a_panic_is_an_error_of_the_tokenizer() -> None:
    tokenizer = open_tokenizer("safetensors", {"tokenizer": json.dumps(SPECS["a pattern of choices"])})
    with pytest.raises(UnsupportedModel, match="gives up on this text"):
        run(tokenizer.encode("a" * 40 + "!"))
    with pytest.raises(FanlightError, match="cannot be used"):
        open_tokenizer("safetensors", {"tokenizer": json.dumps(SPECS["a broken pattern"])})


@pytest.mark.parametrize("normalizer", [None, {"type": "NFC"}, {"type": "NFKC"}])
@pytest.mark.parametrize(
    "text", ["a" * 50_000, " " * 50_000, "the " * 9000, "\x00\x01" * 9000, "é" * 9000, "e\u0301" * 9000, "\U0001d518" * 9000]
)
def test_a_text_has_at_least_so_many_tokens(text: str, normalizer: Any) -> None:
    spec = json.loads(byte_level_json(r"\w+|\s+|[^\w\s]+")) | {"normalizer": normalizer}
    tokenizer: Tokenizer = open_tokenizer("safetensors", {"tokenizer": json.dumps(spec)})
    assert tokenizer.least_tokens(text) <= len(run(tokenizer.encode(text)))
    assert tokenizer.least_tokens("xyz" * 99_999) > 1000
