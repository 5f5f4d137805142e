"""Several models behind one door: `model` chooses, one memory for all, who is unloaded when, and that answers keep theirs."""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

import fanlight
from fanlight.api.load import LoadOptions
from fanlight.api.models import Models
from fanlight.api.routes import handle
from fanlight.errors import DoesNotFit, EngineClosed, RequestError
from tests.api.fakes import make_face
from tests.api.test_server import served
from tests.cli.tiny import write_model

PROMPT = {"prompt": [5, 6, 7], "max_tokens": 8, "temperature": 0, "ignore_eos": True, "return_token_ids": True}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    return [write_model(folder / f"{name}.gguf") for name in ("one", "two", "three")]


def ids(engine: Any, name: str | None) -> list[int]:
    return engine.completions.create(**PROMPT, **({} if name is None else {"model": name})).choices[0].token_ids


def loaded(engine: Any) -> list[str]:
    return [place.name for place in engine._models if place.loaded is not None]


def budget(path: Path, share: float) -> int:
    """Of what one of them takes."""
    with fanlight.load(path, device="null") as engine:
        return int(share * engine.loaded.info["memory"]["total"])


def test_model_chooses_and_what_is_not_there_is_named(files: list[Path]) -> None:
    with fanlight.load(files[0], device="null") as engine:
        want = ids(engine, None)
        assert engine.load(files[1], max_num_seqs=1) == "two"
        assert engine.load(files[0], name="other") == "other"
        assert [m.id for m in engine.models.list().data] == ["one", "two", "other"]
        assert engine.models.retrieve("two").context_length == 256
        for name in (None, "one", "two", "other"):
            answer = engine.completions.create(**PROMPT, **({"model": name} if name else {}))
            assert answer.model == (name or "one") and answer.choices[0].token_ids == want
        with pytest.raises(RequestError, match="'nobody' is not loaded; these are: 'one', 'two', 'other'") as wrong:
            ids(engine, "nobody")
        assert wrong.value.param == "model"
        with pytest.raises(RequestError, match="loaded already"):
            engine.load(files[1], name="two")
        with pytest.raises(RequestError, match="loaded already"):
            engine.load(files[1])
        for name in ("twoo", "", None):
            with pytest.raises(RequestError, match="is not loaded; these are"):
                engine.unload(name)  # type: ignore[arg-type]
        engine.unload("two")
        assert [m.id for m in engine.models.list().data] == ["one", "other"]
        with pytest.raises(RequestError, match="'two' is not loaded"):
            ids(engine, "two")
        engine.unload("other")
        with pytest.raises(RequestError, match="'other' is not loaded; these are: 'one'"):
            engine.unload("other")  # not the last one, which other names mean elsewhere
    with pytest.raises(EngineClosed):
        ids(engine, "other")


def test_answers_go_on_while_another_model_is_loaded(files: list[Path]) -> None:
    """Steps are made while the other model is compiled, and between its first tensor and its last."""

    async def serve() -> None:
        async with await fanlight.aload(files[0], device="reference", context_length=256) as engine:

            async def answer() -> None:
                while True:
                    await engine.completions.create(**{**PROMPT, "max_tokens": 200})

            def note(phase: str, done: int, total: int) -> None:
                steps.setdefault(phase, []).append(engine.loaded.engine.stats().num_steps)

            steps: dict[str, list[int]] = {}
            answering = asyncio.create_task(answer())
            await engine.load(files[1], on_progress=note)
            answering.cancel()
            await asyncio.wait([answering])
            assert steps["compile"][0] < steps["pipelines"][0] and steps["weights"][0] < steps["weights"][-1]

    asyncio.run(serve())


def test_one_memory_for_all_and_the_least_recently_used_makes_room(files: list[Path]) -> None:
    adapter = fanlight.open_adapter("null", memory_bytes=budget(files[0], 2.5))
    with fanlight.load(files[0], device=adapter, context_length=256) as engine:
        engine.load(files[1], context_length=256)
        with pytest.raises(DoesNotFit):
            engine.load(files[2], context_length=256)
        assert loaded(engine) == ["one", "two"]
    with fanlight.load(files[0], device=adapter, context_length=256, makes_room=True) as engine:
        want = ids(engine, "one")
        engine.load(files[1], context_length=256)
        engine.load(files[2], context_length=256)
        assert loaded(engine) == ["one", "three"]  # the first one nobody told how to open again
        with engine.completions.create(**PROMPT, model="three", stream=True) as open_stream:
            next(open_stream)
            with pytest.raises(DoesNotFit):  # the one that answers is not unloaded
                ids(engine, "two")
            assert sum(len(c.choices[0].token_ids) for c in open_stream) <= 8
        assert ids(engine, "two") == want and loaded(engine) == ["one", "two"]
        assert ids(engine, "three") == want and loaded(engine) == ["one", "three"]


def test_a_second_load_that_fails_leaves_the_first_and_its_memory(files: list[Path], tmp_path: Path) -> None:
    adapter = fanlight.open_adapter("null", memory_bytes=budget(files[0], 2.5))
    with fanlight.load(files[0], device=adapter) as engine:
        (tmp_path / "broken.gguf").write_bytes(files[1].read_bytes()[:2000])
        for _ in range(3):
            with pytest.raises(fanlight.FanlightError):
                engine.load(tmp_path / "broken.gguf")
        engine.load(files[1])
        assert loaded(engine) == ["one", "two"]


def test_keep_alive(files: list[Path]) -> None:
    async def serve() -> None:
        async with await fanlight.aload(files[0], device="null") as engine:
            await engine.load(files[1], keep_alive=0)
            await engine.load(files[2], keep_alive=0.2)
            ask = lambda name: engine.completions.create(**PROMPT, model=name)  # noqa: E731
            want = (await ask("one")).choices[0].token_ids
            assert (await ask("two")).choices[0].token_ids == want
            assert loaded(engine) == ["one", "three"]
            assert (await ask("three")).choices[0].token_ids == want
            assert [m.id for m in (await engine.models.list()).data] == ["one", "two", "three"]
            await asyncio.sleep(0.3)
            assert loaded(engine) == ["one"]
            together = await asyncio.gather(ask("two"), ask("three"), ask("two"), ask("one"))
            assert [answer.choices[0].token_ids for answer in together] == [want] * 4
            with pytest.raises(RequestError, match="keep_alive must be seconds"):
                await engine.load(files[2], name="x", keep_alive=-2)

    asyncio.run(serve())


def test_an_answer_holds_its_model_also_where_nobody_reads_it() -> None:
    async def serve() -> None:
        face = make_face("Hello<|im_end|>")

        async def open() -> Any:
            return make_face("Hello<|im_end|>")

        models = Models()
        models.add(face, open, keep_alive=0)
        body = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}
        (place,) = models
        for reads in range(3):
            answer = await handle(models, "/v1/chat/completions", body)
            for _ in range(reads):
                await anext(answer)
            assert place.num_users == 1 and place.loaded is not None
            await answer.aclose()
            assert place.num_users == 0 and place.loaded is None
        async for _ in await handle(models, "/v1/chat/completions", body):
            pass
        with pytest.raises(RequestError):
            await handle(models, "/v1/chat/completions", {"messages": 7})
        assert place.num_users == 0

    asyncio.run(serve())


def test_a_model_that_comes_back_is_served_as_before() -> None:
    """It is counted, and as strict about its name."""

    async def open() -> Any:
        return make_face("Hello<|im_end|>")

    def strict(loaded: Any) -> None:
        loaded.is_strict = True

    models, sizes = Models(), []
    models.set_up(strict)
    models.add(make_face("Hello<|im_end|>"), open, keep_alive=0)
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    with served(models) as url:
        for _ in range(3):
            assert httpx.post(f"{url}/v1/chat/completions", json=body).status_code == 200
            (place,) = models
            assert place.loaded is None
            text = httpx.get(f"{url}/metrics").text
            sizes += [int(n) for n in re.findall(r'^fanlight_generated_tokens_total{model="scripted"} (\d+)$', text, re.M)]
            foreign = httpx.post(f"{url}/v1/chat/completions", json={**body, "model": "other"})
            assert foreign.status_code == 404 and foreign.json()["error"]["code"] == "model_not_found"
    assert sizes == [sizes[0], 2 * sizes[0], 3 * sizes[0]] and sizes[0] > 0


@pytest.mark.parametrize(
    "options",
    [
        {"context_length": -5},
        {"context_length": 1},
        {"context_length": 300},
        {"context_length": "64"},
        {"context_length": 64.0},
        {"max_num_seqs": 0},
        {"max_num_seqs": True},
        {"activations": "int4"},
        {"kv_dtype": "q5_0"},
        {"max_waiting": -1},
        {"name": ""},
        {"tune": 1},
        {"context": 64},
        {"device": 5},
    ],
)
def test_load_options_are_kept_or_refused(files: list[Path], options: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as refused:
        fanlight.load(files[0], **{"device": "null", **options})
    assert refused.value.param == next(iter(options))


@pytest.mark.parametrize("model", [5, None, [5]])
def test_a_model_that_is_none_is_refused(model: Any) -> None:
    with pytest.raises(RequestError, match="a file, a folder") as refused:
        fanlight.load(model, device="null")
    assert refused.value.param == "model"


def test_activations_and_keys_in_f32(files: list[Path]) -> None:
    with fanlight.load(files[0], device="reference", activations="f32", kv_dtype="f32", context_length=64) as exact:
        program = exact.loaded.engine.program
        assert not any("int8" in kernel.name for kernel in program.kernels)
        assert LoadOptions().kv_dtype == "f16"
        with fanlight.load(files[0], device="null", context_length=64) as small:
            assert exact.loaded.info["memory"]["kv"] == 2 * small.loaded.info["memory"]["kv"]
