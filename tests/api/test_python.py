"""The Python loaded, blocking and asynchronous, over a scripted token engine."""

import ast
import asyncio
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, TypeGuard

import pytest

import fanlight
from fanlight.api import python
from fanlight.api.python import AsyncLocalEngine, LocalEngine, record
from fanlight.errors import EngineClosed, RequestError
from tests.api.fakes import ScriptedEngine, endless, make_face

USER = [{"role": "user", "content": "Hi"}]


def test_blocking() -> None:
    loaded = make_face("Hello<|im_end|>")
    with LocalEngine(loaded) as engine:
        answer = engine.chat.completions.create(messages=USER, extra_body={"top_k": 3})
        assert answer.choices[0].message.content == answer["choices"][0]["message"]["content"] == "Hello"
        assert engine.completions.create(prompt=["a", "b"]).choices[1].text == "Hello"
        assert engine.models.list().data[0].id == engine.models.retrieve("scripted").id == "scripted"
        chunks = list(engine.chat.completions.create(messages=USER, stream=True))
        assert "".join(c.choices[0].delta.get("content", "") for c in chunks) == "Hello"
        assert chunks[-1].choices[0].delta.content is None and chunks[-1].usage is None
        with pytest.raises(RequestError) as caught:
            engine.chat.completions.create(messages=USER, temperature=5)
        assert caught.value.param == "temperature"
    with pytest.raises(EngineClosed):
        engine.chat.completions.create(messages=USER)


def test_leaving_a_stream_frees_the_engine() -> None:
    loaded = make_face(endless)
    engine = LocalEngine(loaded)
    assert isinstance(loaded.engine, ScriptedEngine)
    with engine.chat.completions.create(messages=USER, stream=True) as stream:
        for number, _ in enumerate(stream):
            if number == 3:
                break
        assert loaded.engine.running
    assert not loaded.engine.running


def test_asynchronous_requests_run_together() -> None:
    loaded = make_face(endless)
    assert isinstance(loaded.engine, ScriptedEngine)

    async def both() -> Any:
        async with AsyncLocalEngine(loaded) as engine:
            whole = engine.chat.completions.create(messages=USER, max_tokens=30)

            async def streamed() -> str:
                async with await engine.chat.completions.create(messages=USER, max_tokens=30, stream=True) as stream:
                    return "".join([c.choices[0].delta.get("content", "") async for c in stream])

            return await asyncio.gather(whole, streamed())

    whole, streamed = asyncio.run(both())
    assert whole.choices[0].message.content == streamed
    assert loaded.engine.num_steps < 45


def test_leaving_an_asynchronous_stream_frees_the_engine() -> None:
    loaded = make_face(endless)
    assert isinstance(loaded.engine, ScriptedEngine)

    async def leave() -> None:
        engine = AsyncLocalEngine(loaded)
        async with await engine.chat.completions.create(messages=USER, stream=True) as stream:
            async for _ in stream:
                break
            assert loaded.engine.running
        assert not loaded.engine.running

    asyncio.run(leave())


def test_records() -> None:
    made = record({"a": [{"b": 1}]})
    assert made.a[0].b == 1 and made == {"a": [{"b": 1}]}
    with pytest.raises(AttributeError, match="there are a"):
        _ = made.c
    assert made.content is None and made.tool_calls is None  # an answer's fields that are not there


def test_public_names() -> None:
    assert all(getattr(fanlight, name) for name in fanlight.__all__)


def test_what_python_py_asks_of_where_it_runs_is_there_in_both() -> None:
    """One of the two can be imported here; the other one knows JavaScript."""

    def named(path: Path) -> set[str]:
        tree = ast.parse(path.read_text())
        made = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))}
        made |= {t.id for node in tree.body if isinstance(node, ast.Assign) for t in node.targets if isinstance(t, ast.Name)}
        return made | {n.asname or n.name for node in tree.body if isinstance(node, ast.ImportFrom) for n in node.names}

    folder = Path(python.__file__).parent
    uses = {node.attr for node in ast.walk(ast.parse((folder / "python.py").read_text())) if is_of_here(node)}
    assert len(uses) > 5
    for file in ("native.py", "browser.py"):
        assert uses <= named(folder / file), f"{file} has no {uses - named(folder / file)}"


def is_of_here(node: ast.AST) -> TypeGuard[ast.Attribute]:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "here"


def test_progress_says_each_thing_once(capsys: pytest.CaptureFixture[str]) -> None:
    progress = fanlight.Progress()
    for phase, done, total in [("header", 0, 1), ("check", 0, 3), ("check", 1, 3)]:
        progress(phase, done, total)
    for done in range(51):
        progress("weights", done * 1_000_000, 50_000_000)
    progress("ready", 1, 1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Reading the model's description" and lines[-1] == "The model is ready"
    assert len(lines) == len(set(lines)) and len(lines) < 15


def test_a_notebook_shows_progress_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shown: list[Any] = []

    class Handle:
        def update(self, data: Any, raw: bool) -> None:
            shown[-1] = data["text/plain"]

    def display(data: Any, raw: bool, display_id: bool) -> Handle:
        shown.append(data["text/plain"])
        return Handle()

    ipython, module = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython, module.display = object, display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    with fanlight.load("built-in", device="null", context_length=64):
        assert shown == ["The model is ready"]
    marimo = ModuleType("marimo")
    marimo.output = SimpleNamespace(replace=shown.append)  # type: ignore[attr-defined]
    marimo.running_in_notebook, marimo.plain_text = lambda: True, str  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "marimo", marimo)
    with fanlight.load("built-in", device="null", context_length=64):
        assert len(shown) > 3 and shown[-1] == "The model is ready"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "module", ["fanlight", "fanlight.api", "fanlight.api.python", "fanlight.text.tokenizer", "fanlight.settings"]
)
def test_what_a_browser_loads_needs_no_native_package(module: str) -> None:
    native = ["numpy", "tokenizers", "starlette", "uvicorn", "rich", "wgpu", "huggingface_hub", "mmap", "http.client"]
    code = f"import sys, {module}; print([m for m in {native} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
