"""Several real models in one page, on one GPU device in one worker; states of conversations in the page's files. Chromium on
SwiftShader; the truth is what each model answers alone, natively on the reference device."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fanlight
from scripts.golden import tiny_encoders
from tests.cli.tiny import write_model
from tests.models.test_encoders import record_of
from tests.web.browser import Served, serve

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
ENCODER = "bert-dense"
TALK = [
    {"role": "user", "content": "one two three four five"},
    {"role": "assistant", "content": "six seven"},
    {"role": "user", "content": "eight"},
]
ASK = {"temperature": 0, "max_tokens": 8, "return_token_ids": True}
OPTIONS = {"contextLength": 256, "maxNumSeqs": 2, "activations": "f32", "kvDtype": "f32"}  # as the reference device computes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def one_site(assets: Path, folder: Path) -> Iterator[str]:
    """The models at /chat.gguf, /other.gguf (other weights) and /encoder/; the documents' in /models/."""
    served = Served({"/pages/": Path(__file__).parent / "pages", "/": assets})
    served.files["/chat.gguf"] = served.files["/models/chat.gguf"] = whole = write_model(folder / "chat.gguf").read_bytes()
    served.files["/other.gguf"] = whole[:-100_000] + memoryview(whole[-100_000:]).cast("f")[::-1].tobytes()
    vectors = write_model(folder / "vectors.gguf", **{"llama.pooling_type": 1})
    served.files["/models/vectors.gguf"] = vectors.read_bytes()
    encoder = tiny_encoders.make_checkpoint(ENCODER, folder / "encoder")
    for path in encoder.rglob("*"):
        if path.is_file():
            served.files[f"/encoder/{path.relative_to(encoder).as_posix()}"] = path.read_bytes()
    with serve(served) as url:
        yield url


@pytest.fixture(scope="module")
def one_page(chromium: Any, one_site: str) -> Iterator[Any]:
    """For all tests: what is found out about the adapter is kept."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{one_site}/pages/blank.html")
    yield page
    context.close()


@pytest.fixture(scope="module")
def alone(folder: Path, one_site: str) -> list[int]:
    """The chat model's answer, natively."""
    with fanlight.load(folder / "chat.gguf", device="reference", activations="f32", kv_dtype="f32") as engine:
        return engine.chat.completions.create(messages=TALK, **ASK).choices[0].token_ids


BOTH = """async ([options, talk, ask, input]) => {
  const { load } = await import("/fanlight/index.js");
  const caught = (promise) => promise.then(() => null, ({ name, message, param }) => [name, message, param]);
  const engine = await load("/chat.gguf", options);
  const vectors = await engine.load(new URL("/encoder/", location.href), { name: "vectors" });
  const chat = async (more) => (await engine.chat.completions.create({ messages: talk, ...ask, ...more })).choices[0].token_ids;
  const embed = async () => (await engine.embeddings.create({ model: vectors, input })).data.map((item) => item.embedding);
  const out = { ids: (await engine.models.list()).data.map(({ id }) => id) };
  out.chats = [await chat({}), await chat({ model: "chat" })];
  out.vectors = await embed();
  const [together, again] = await Promise.all([chat({ model: "chat", top_k: 1 }), embed()]);
  out.chats.push(together);
  out.again = again;
  const long = { messages: Array.from({ length: 12 }, () => talk).flat() };
  out.long = [await caught(chat(long)), (await chat({ ...long, context_overflow: "drop_oldest" })).length];
  out.foreign = [await caught(chat({ model: vectors })), await caught(chat({ model: "nobody" }))];
  await engine.unload(vectors);
  out.gone = await caught(engine.embeddings.create({ model: vectors, input }));
  out.left = (await engine.models.list()).data.map(({ id }) => id);
  out.chats.push(await chat({}));
  await engine.close();
  return out;
}"""


@pytest.mark.timeout(300)
def test_a_chat_and_an_embedding_model_answer_as_each_alone(one_page: Any, alone: list[int]) -> None:
    texts = tiny_encoders.texts_of(ENCODER)
    out = one_page.evaluate(BOTH, [OPTIONS, TALK, ASK, texts])
    assert out["ids"] == ["chat", "vectors"] and out["left"] == ["chat"]
    assert out["chats"] == [alone] * 4
    truth = record_of(ENCODER)
    for vectors in (out["vectors"], out["again"]):
        assert np.abs(np.array(vectors) - truth).max() / np.abs(truth).max() < 1e-3
    (no_text, *_), (nobody, message, param) = out["foreign"]
    assert (no_text, nobody, param) == ("RequestError", "RequestError", "model") and "'chat', 'vectors'" in message
    assert out["gone"][0] == "RequestError"
    assert out["long"][0][0] == "ContextOverflow" and out["long"][1] == len(alone)


SAVE = """async ([options, talk, ask]) => {
  const { listStates, load } = await import("/fanlight/index.js");
  const engine = await load("/chat.gguf", options);
  const cold = await engine.chat.completions.create({ messages: talk, ...ask });
  const saved = [await engine.saveState({ name: "talk/1", messages: talk })];
  saved.push(await engine.saveState({ name: "ids", model: "chat", prompt: cold.prompt_token_ids }));
  saved.push(await engine.saveState({ name: "ids", prompt: cold.prompt_token_ids.slice(0, 20) })); // in place of the other
  const caught = (promise) => promise.then(() => null, ({ name, param }) => [name, param]);
  const refused = [
    await caught(engine.saveState({ name: "", messages: talk })),
    await caught(engine.saveState({ name: "none" })),
    await caught(engine.saveState({ name: "none", messages: talk, colour: "red" })),
  ];
  const names = (await listStates()).map(({ name }) => name).sort();
  await engine.close();
  return { cold, saved, refused, names };
}"""

RESTORE = """async ([options, talk, ask]) => {
  const { deleteState, listStates, load } = await import("/fanlight/index.js");
  const caught = (promise) => promise.then(() => null, ({ name, message, where, hint }) => ({ name, message, where, hint }));
  const engine = await load("/chat.gguf", { ...options, contextOverflow: "drop_oldest" });
  const chat = (model, messages = talk) => engine.chat.completions.create({ model, messages, ...ask });
  const { file, sizeBytes } = (await listStates()).find(({ name }) => name === "talk/1");
  const out = { sizes: [file.size, sizeBytes] };
  const damaged = new Uint8Array(await file.arrayBuffer());
  damaged[damaged.length - 40] ^= 1;
  out.wrong = [await caught(engine.restoreState(new Blob([damaged]))), await caught(engine.restoreState("none"))];
  out.restored = [await engine.restoreState(file), await engine.restoreState("talk/1")];
  out.warm = await chat("chat");
  out.long = (await chat("chat", Array.from({ length: 12 }, () => talk).flat())).usage;
  await engine.load("/other.gguf", options);
  out.other = await caught(engine.restoreState("talk/1", { model: "other" }));
  out.cold = (await chat("other")).usage.prompt_tokens_details.cached_tokens;
  out.deleted = [await deleteState("talk/1"), await deleteState("talk/1"), (await listStates()).map(({ name }) => name)];
  await engine.close();
  return out;
}"""


@pytest.mark.timeout(300)
def test_a_state_outlives_the_page(one_page: Any, one_site: str, alone: list[int]) -> None:
    """Restored, the first answer is the cold one's, and computes no whole block of its prompt again."""
    done = one_page.evaluate(SAVE, [OPTIONS, TALK, ASK])
    cold = done["cold"]
    assert cold["choices"][0]["token_ids"] == alone and cold["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    saved, same, shorter = done["saved"]
    assert saved == same == cold["usage"]["prompt_tokens"] // 16 * 16 > shorter == 16
    assert done["refused"] == [["RequestError", "name"], ["RequestError", "messages"], ["RequestError", "colour"]]
    assert done["names"] == ["ids", "talk/1"]
    one_page.reload()
    out = one_page.evaluate(RESTORE, [OPTIONS, TALK, ASK])
    reused = (cold["usage"]["prompt_tokens"] - 1) // 16 * 16
    assert out["warm"]["choices"] == cold["choices"]
    assert out["warm"]["usage"]["prompt_tokens_details"]["cached_tokens"] == reused > 0
    assert out["restored"] == [saved, saved] and out["sizes"][0] == out["sizes"][1] > 0
    assert 128 < out["long"]["prompt_tokens"] <= 256 - ASK["max_tokens"], "its oldest turns are left out, no more"
    assert out["other"]["name"] == "FormatError" and "made with" in out["other"]["message"]
    assert out["other"]["where"] == "talk/1" and out["cold"] == 0
    damaged, missing = out["wrong"]
    assert damaged["name"] == "FormatError" and "damaged" in damaged["message"]
    assert missing["name"] == "SourceError" and missing["where"] == "none" and "talk/1" in missing["hint"]
    assert out["deleted"] == [True, False, ["ids"]]


@pytest.mark.minutes
@pytest.mark.timeout(300)
def test_the_documents_example_runs(one_page: Any) -> None:
    (example,) = re.findall(r"```js\n(.*?)```", (ROOT / "docs" / "models.md").read_text(), re.S)
    body = re.sub(r'import \{(.*?)\} from "fanlight";', r'const {\1} = await import("/fanlight/index.js");', example)
    seen = "{ saved, restored, found, usage, name: vectors, size: file.size, left: await listStates() }"
    out = one_page.evaluate(f"async () => {{ {body} return {seen}; }}")
    assert out["name"] == "vectors" and len(out["found"]["data"]) == 2
    assert out["saved"] == out["restored"] > 0 and out["size"] > 0 and out["left"] == []
    assert out["usage"]["prompt_tokens_details"]["cached_tokens"] > 0
