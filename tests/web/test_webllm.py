"""fanlight/webllm in Chromium: the calls that WebLLM's examples and WebLLM Chat make, on a tiny model of MLC's own format."""

import json
import re
from collections.abc import Iterator

import numpy as np
import pytest

import fanlight
from tests.models.test_encoders_gguf import with_text
from tests.web.webllm_site import CHROMIUM, CHROMIUM_FLAGS, MODEL, open_site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

ID = "tiny-q4f16_1-MLC"


def call(page, name: str, given: object = None):
    return page.evaluate("async ([name, given]) => (await import('/pages/webllm_calls.js'))[name](given)", [name, given])


@pytest.fixture(scope="module")
def opened(assets, tmp_path_factory) -> Iterator[tuple[object, object, list[dict]]]:
    """A page whose `engine` has the model, its site, and what the load reported."""
    playwright = pytest.importorskip("playwright.sync_api")
    with open_site(assets, tmp_path_factory.mktemp("mlc")) as site, playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        page = browser.new_context().new_page()
        page.on("console", lambda message: print(message.text))
        page.goto(f"{site.url}/pages/blank.html")
        yield page, site, call(page, "start", [ID, MODEL.removesuffix("resolve/main/")])
        browser.close()


@pytest.fixture
def page(opened):
    return opened[0]


def test_the_load_reports_as_webllm_does(opened) -> None:
    reports = opened[2]
    assert reports[0] == {"progress": 0, "timeElapsed": 0, "text": "Start to fetch params"}
    *before, last = reports
    assert last["progress"] == 1 and last["text"].startswith("Finish loading on WebGPU - ")
    assert all(report["progress"] < 1 for report in before)
    texts = [report["text"] for report in reports]
    assert any(text.startswith("Fetching param cache[") and "% completed, " in text for text in texts)
    assert any(text.startswith("Loading GPU shader modules[") for text in texts)


def test_get_started(page) -> None:
    """n, logit_bias, logprobs, usage."""
    reply = call(page, "getStarted")
    assert (reply["object"], reply["model"], len(reply["choices"])) == ("chat.completion", ID, 3)
    for index, choice in enumerate(reply["choices"]):
        assert (choice["index"], choice["message"]["role"]) == (index, "assistant")
        assert all(len(entry["top_logprobs"]) == 2 for entry in choice["logprobs"]["content"])
        data = bytes(byte for entry in choice["logprobs"]["content"] for byte in entry["bytes"])
        # A mark may be drawn by chance, which is no text.
        assert re.sub(r"<\|\w+\|>", "", data.decode("utf-8", "replace")) == choice["message"]["content"]
    usage = reply["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    names = {"e2e_latency_s", "prefill_tokens_per_s", "decode_tokens_per_s", "time_to_first_token_s", "time_per_output_token_s"}
    assert set(usage["extra"]) == names and all(value > 0 for value in usage["extra"].values())


def test_biases(page) -> None:
    """Tokens are the letters in the order of their bytes' letters: 40 is "I", 41 "J"."""
    texts = call(page, "biases")
    assert texts == ["III", "JJJ"]


def test_streaming_with_usage(page) -> None:
    chunks, message = call(page, "streamingWithUsage")
    *pieces, finish, usage = chunks
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"} and len({chunk["id"] for chunk in chunks}) == 1
    assert all(chunk["choices"][0]["delta"]["role"] == "assistant" and "usage" not in chunk for chunk in pieces)
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in pieces) == message != ""
    assert (finish["choices"][0]["delta"], finish["choices"][0]["finish_reason"]) == ({}, "length")
    assert usage["choices"] == [] and usage["usage"]["completion_tokens"] == 5


def test_without_include_usage_there_is_none(page) -> None:
    chunks = call(page, "withoutIncludeUsageThereIsNone")
    assert all("usage" not in chunk and chunk["choices"] for chunk in chunks)


def test_interrupting(page) -> None:
    """A stream, and an answer that is not streamed, which keeps what was written; the next request is not touched."""
    reasons, texts, after = call(page, "interrupting")
    assert reasons[-2:] == ["abort", "abort"] and set(reasons[:-2]) == {None}
    assert texts[0] and after[0] == "length" and after[1] >= 0


def test_leaving_the_loop_ends_the_answer(page) -> None:
    reason = call(page, "leavingTheLoopEndsTheAnswer")
    assert reason == "length"


def test_a_seed_gives_the_same_again(page) -> None:
    one, two, other = call(page, "aSeedGivesTheSameAgain")
    assert one == two != other


def test_several_rounds(page) -> None:
    reply = call(page, "severalRounds")
    assert reply[0] == 5 and reply[1] > 60


def test_json_without_a_schema(page) -> None:
    """Which WebLLM itself cannot."""
    choices = call(page, "jsonWithoutASchema")
    assert all(choice["message"]["content"].lstrip().startswith("{") for choice in choices)


def test_a_schema_as_text_a_grammar_and_a_structural_tag(page) -> None:
    schema, grammar, tag, usage = call(page, "aSchemaAsTextAGrammarAndAStructuralTag")
    assert isinstance(json.loads(schema)["ok"], bool) and grammar in ("yes", "no")
    assert tag[:3] == "<f>" and tag[3:5] in ("aa", "ab", "ba", "bb") and tag.endswith("</f>")
    assert {"grammar_init_s", "grammar_per_token_s"} <= set(usage["extra"])


def test_text_completion(page) -> None:
    reply = call(page, "textCompletion")
    assert reply["object"] == "text_completion" and len(reply["choices"]) == 2
    for choice in reply["choices"]:
        assert choice["text"].startswith("List")
        entries = choice["logprobs"]["content"][-3:]
        assert all(entry["top_logprobs"] and entry["logprob"] <= 0 for entry in entries)


def test_a_latency_breakdown(page) -> None:
    usage = call(page, "aLatencyBreakdown")
    breakdown = usage["extra"]["latencyBreakdown"]
    names = {"logitProcessorTime", "logitBiasTime", "penaltyTime", "sampleTime", "totalTime", "grammarBitmaskTime"}
    assert set(breakdown) == names and all(len(times) == usage["completion_tokens"] for times in breakdown.values())
    assert all(time > 0 for time in breakdown["totalTime"])


def test_thinking_may_be_asked_for(page) -> None:
    """Of a model that does not think, both are the same."""
    texts = call(page, "thinkingMayBeAskedFor")
    assert texts[0] == texts[1]


def test_tokens_in_a_token_out(page) -> None:
    """What the logit-processor example does; the statistics' text is WebLLM's."""
    ids, again, stats = call(page, "tokensInATokenOut")
    assert len(ids) == 4 and all(0 <= token < 288 for token in [*ids, again])
    assert stats.startswith("prefill: ") and "decoding: " in stats and stats.endswith(" tokens/sec")


def test_an_answer_is_resumed(page) -> None:
    whole, text, again, before, after, left = call(page, "resuming")
    assert text == whole and again == "ResumableSessionExistsError" and left == 0
    assert before["resumable"] and 0 < before["emittedTokens"] < 12 and before["recoveryMode"] == "token_replay"
    assert not after["resumable"] and after["reason"] == "generation finished"


def test_tools_by_tools(page) -> None:
    choice, last, num_tokens, again = call(page, "toolsByTools")
    (made,) = choice["message"]["tool_calls"]
    assert choice["message"]["content"] is None and (made["type"], made["function"]["name"]) == ("function", "weather")
    assert json.loads(made["function"]["arguments"])["unit"] in ("celsius", "fahrenheit")
    assert choice["finish_reason"] == last["finish_reason"] and num_tokens > 10
    (streamed,) = last["delta"]["tool_calls"]
    assert (streamed["index"], streamed["function"]) == (0, made["function"])  # one seed
    assert again == [{"role": "assistant", "content": "III"}, 3]


def test_tools_by_a_prompt(page) -> None:
    found, called = call(page, "toolsByPrompt")
    assert found == [[text, None, "stop"] for text in (called, "12 degrees.", called)]


def test_webllm_chat(page) -> None:
    found = call(page, "webllmChat", ID)
    assert "nobody-MLC" in found["wrong"] and "[object" not in found["wrong"]
    assert found["texts"][0] == "Start to fetch params" and found["texts"][-1].startswith("Finish loading on WebGPU - ")
    assert any(text.startswith("Loading model from cache[") for text in found["texts"])
    streamed = found["streamed"]
    assert (streamed["content"], streamed["stopReason"], streamed["usage"]["completion_tokens"]) == ("IIII", "length", 4)
    assert (found["whole"]["message"]["content"], found["whole"]["finish_reason"]) == ("IIII", "length")
    assert found["stopped"]["stopReason"] == "abort" and found["stopped"]["content"]
    assert found["tooLong"].startswith("ContextWindowSizeExceededError") or "context" in found["tooLong"]


def test_what_the_gpu_sanity_script_asks(page) -> None:
    """Log-probabilities are of what is drawn from; of a random model they need biases to have most of their weight in five."""
    assert call(page, "sanity", [ID, False]) == {"bias": True, "penalties": True, "sums": True}


@pytest.mark.minutes
def test_what_the_gpu_sanity_script_asks_of_a_logit_processor(page) -> None:
    assert call(page, "sanity", [ID, True]) == {"processor": True}


@pytest.mark.minutes
@pytest.mark.parametrize("chats_first", [True, False])
def test_embeddings_beside_a_chat(opened, tmp_path, chats_first: bool) -> None:
    """Vectors are the engine's own, natively in NumPy."""
    page, site, _ = opened
    file = with_text(tmp_path, "bert-mean", "bert", "mean_tokens")
    site.served.files["/vectors.gguf"] = file.read_bytes()
    texts = ["what is snowflake?", "Where can I get the best tacos?"]
    found = call(page, "embeddings", [ID, texts, [ID, "vectors"] if chats_first else ["vectors", ID]])
    with fanlight.load(file, device="reference") as engine:
        truth = engine.embeddings.create(input=texts)
    many = found["many"]
    vectors = [entry["embedding"] for entry in many["data"]]
    assert np.allclose(vectors, [entry.embedding for entry in truth.data], atol=1e-4)
    assert [entry["index"] for entry in many["data"]] == [0, 1] and (many["object"], many["model"]) == ("list", "vectors")
    assert many["usage"]["prompt_tokens"] == truth.usage.prompt_tokens == many["usage"]["total_tokens"]
    assert many["usage"]["extra"]["prefill_tokens_per_s"] > 0
    assert np.allclose(found["one"]["data"][0]["embedding"], vectors[0], atol=1e-5)
    assert (found["unclear"], found["chat"]) == ("UnclearModelToUseError", 2)
    assert (found["wrong"], found["notChat"]) == ("IncorrectPipelineLoadedError", "IncorrectPipelineLoadedError")


@pytest.mark.minutes
def test_a_worker_with_a_logit_processor(page) -> None:
    assert call(page, "aWorkerWithALogitProcessor") == ["IJKL", 4, "IJKL", [44, 45], "WorkerEngineModelNotLoadedError", 1]


@pytest.mark.minutes
def test_several_models(page) -> None:
    found = call(page, "severalModels")
    assert found == ["resolved", "other-MLC", ID, "UnclearModelToUseError", [True, False]]


SERVICE_WORKER = b"""import { ServiceWorkerMLCEngineHandler } from "/fanlight/webllm.js";
new ServiceWorkerMLCEngineHandler();
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
"""


@pytest.mark.minutes
def test_pages_with_different_models_behind_a_service_worker(opened) -> None:
    """Neither takes the other's model away; a stream goes on when the page that has the engine is closed."""
    page, site, _ = opened
    site.served.files["/sw.js"] = SERVICE_WORKER
    model = MODEL.removesuffix("resolve/main/")
    given = [["one-MLC", model, None], ["two-MLC", model, None], ["one-MLC", model, {"context_window_size": 100}]]
    pages = [page.context.new_page() for _ in given]
    for each, what in zip(pages, given, strict=True):
        each.goto(f"{site.url}/pages/blank.html")
        call(each, "share", what)
    assert [bool(each.workers) for each in pages] == [True, False, False]
    first, *others = pages
    answers = [call(each, "ofShared") for each in pages]
    assert [model for model, _ in answers] == ["one-MLC", "two-MLC", "one-MLC"]
    assert len({text for _, text in answers}) == 1  # the same file
    call(others[0], "streamOfShared")
    first.close()
    assert others[0].evaluate("() => rest()") == answers[1][1]
    assert [call(each, "ofShared") for each in others] == answers[1:]
    for each in others:
        each.close()


def test_errors_have_webllms_names(page) -> None:
    """`reload` with a wrong argument leaves what is loaded."""
    found = call(page, "errors")
    for name, text in found.items():
        assert text.startswith(f"{name}|") and text.endswith("|true"), (name, text)
