"""fanlight/webllm in Chromium: the calls that WebLLM's examples and WebLLM Chat make, on a tiny model of MLC's own format."""

import json
from collections.abc import Iterator

import pytest

from tests.web.webllm_site import CHROMIUM, CHROMIUM_FLAGS, MODEL, open_site

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

ID = "tiny-q4f16_1-MLC"
START = """async ([id, model]) => {
  globalThis.webllm = await import("/fanlight/webllm.js");
  const record = (model_id, more) => ({ model: location.origin + model, model_id, model_lib: webllm.modelLibURLPrefix + webllm.modelVersion + "/x.wasm", ...more });
  globalThis.appConfig = { model_list: [record(id, { overrides: { context_window_size: 128 } }), record("other-MLC", { overrides: { context_window_size: 4096 } })], useIndexedDBCache: true };
  globalThis.reports = [];
  const initProgressCallback = (report) => reports.push(report);
  globalThis.engine = await webllm.CreateMLCEngine(id, { appConfig, initProgressCallback, logLevel: "INFO" }, { temperature: 0.9, stream: true, model: "?" });
  globalThis.user = (content) => [{ role: "user", content }];
  globalThis.all = async (chunks) => { const found = []; for await (const chunk of chunks) found.push(chunk); return found; };
  return reports;
}"""


@pytest.fixture(scope="module")
def opened(assets, tmp_path_factory) -> Iterator[tuple[object, object, list[dict]]]:
    """A page whose `engine` has the model, its site, and what the load reported."""
    playwright = pytest.importorskip("playwright.sync_api")
    with open_site(assets, tmp_path_factory.mktemp("mlc")) as site, playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        page = browser.new_context().new_page()
        page.on("console", lambda message: print(message.text))
        page.goto(f"{site.url}/pages/blank.html")
        yield page, site, page.evaluate(START, [ID, MODEL.removesuffix("resolve/main/")])
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
    reply = page.evaluate("""() => engine.chat.completions.create({
      messages: [{ role: "system", content: "Short." }, { role: "user", content: "Hi" }],
      n: 3, temperature: 1.5, max_tokens: 4, logit_bias: { 40: -100, 41: 5 }, logprobs: true, top_logprobs: 2,
    })""")
    assert (reply["object"], reply["model"], len(reply["choices"])) == ("chat.completion", ID, 3)
    for index, choice in enumerate(reply["choices"]):
        assert (choice["index"], choice["message"]["role"]) == (index, "assistant")
        assert all(len(entry["top_logprobs"]) == 2 for entry in choice["logprobs"]["content"])
        data = bytes(byte for entry in choice["logprobs"]["content"] for byte in entry["bytes"])
        assert data.decode("utf-8", "replace") == choice["message"]["content"]
    usage = reply["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    names = {"e2e_latency_s", "prefill_tokens_per_s", "decode_tokens_per_s", "time_to_first_token_s", "time_per_output_token_s"}
    assert set(usage["extra"]) == names and all(value > 0 for value in usage["extra"].values())


def test_biases(page) -> None:
    """Tokens are the letters in the order of their bytes' letters: 40 is "I", 41 "J"."""
    texts = page.evaluate("""async () => {
      const ask = async (logit_bias) => (await engine.chat.completions.create({ messages: user("a"), max_tokens: 3, logit_bias })).choices[0].message.content;
      return [await ask({ 40: 100 }), await ask({ 40: -100, 41: 100 })];
    }""")
    assert texts == ["III", "JJJ"]


def test_streaming_with_usage(page) -> None:
    chunks, message = page.evaluate("""async () => {
      const chunks = await all(await engine.chat.completions.create({ messages: user("Hi"), stream: true, stream_options: { include_usage: true }, max_tokens: 5, temperature: 0, ignore_eos: true }));
      return [chunks, await engine.getMessage()];
    }""")
    *pieces, finish, usage = chunks
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"} and len({chunk["id"] for chunk in chunks}) == 1
    assert all(chunk["choices"][0]["delta"]["role"] == "assistant" and "usage" not in chunk for chunk in pieces)
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in pieces) == message != ""
    assert (finish["choices"][0]["delta"], finish["choices"][0]["finish_reason"]) == ({}, "length")
    assert usage["choices"] == [] and usage["usage"]["completion_tokens"] == 5


def test_without_include_usage_there_is_none(page) -> None:
    chunks = page.evaluate("""async () => all(await engine.chat.completions.create({ messages: user("Hi"), stream: true, max_tokens: 2 }))""")
    assert all("usage" not in chunk and chunk["choices"] for chunk in chunks)


def test_interrupting(page) -> None:
    """A stream, and an answer that is not streamed, which keeps what was written; the next request is not touched."""
    reasons, texts, after = page.evaluate("""async () => {
      const long = { messages: user("Go on"), max_tokens: 64, ignore_eos: true, temperature: 0 };
      const reasons = [], texts = [];
      let count = 0, text = "";
      for await (const chunk of await engine.chat.completions.create({ ...long, stream: true })) {
        if (++count === 3) engine.interruptGenerate();
        text += chunk.choices[0].delta.content ?? "";
        reasons.push(chunk.choices[0].finish_reason);
      }
      texts.push(text);
      setTimeout(() => engine.interruptGenerate(), 700);
      const { choices, usage } = await engine.chat.completions.create(long);
      reasons.push(choices[0].finish_reason);
      texts.push(choices[0].message.content);
      const after = await engine.chat.completions.create({ ...long, max_tokens: 2 });
      return [reasons, texts, [after.choices[0].finish_reason, usage.prompt_tokens]];
    }""")
    assert reasons[-2:] == ["abort", "abort"] and set(reasons[:-2]) == {None}
    assert texts[0] and after == ["length", 0] or after[1] > 0


def test_leaving_the_loop_ends_the_answer(page) -> None:
    text = page.evaluate("""async () => {
      for await (const chunk of await engine.chat.completions.create({ messages: user("Go"), stream: true, max_tokens: 64, ignore_eos: true })) break;
      return (await engine.chat.completions.create({ messages: user("Go"), max_tokens: 1, ignore_eos: true })).choices[0].finish_reason;
    }""")
    assert text == "length"


def test_a_seed_gives_the_same_again(page) -> None:
    one, two, other = page.evaluate("""async () => {
      const ask = async (seed) => (await engine.chat.completions.create({ messages: user("Dice"), n: 2, seed, temperature: 1.2, max_tokens: 6 })).choices.map((c) => c.message.content);
      return [await ask(3), await ask(3), await ask(4)];
    }""")
    assert one == two != other


def test_several_rounds(page) -> None:
    reply = page.evaluate("""async () => {
      const messages = user("One");
      for (let i = 0; i < 2; i++) {
        const { choices } = await engine.chat.completions.create({ messages, max_tokens: 3, temperature: 0 });
        messages.push(choices[0].message, ...user("More"));
      }
      const { usage } = await engine.chat.completions.create({ messages, max_tokens: 1 });
      return [messages.length, usage.prompt_tokens];
    }""")
    assert reply[0] == 5 and reply[1] > 60


def test_json_without_a_schema(page) -> None:
    """Which WebLLM itself cannot."""
    choices = page.evaluate("""async () => (await engine.chatCompletion({ messages: user("JSON"), n: 2, max_tokens: 12, response_format: { type: "json_object" } })).choices""")
    assert all(choice["message"]["content"].lstrip().startswith("{") for choice in choices)


def test_a_schema_as_text_a_grammar_and_a_structural_tag(page) -> None:
    schema, grammar, tag, usage = page.evaluate("""async () => {
      const ask = async (response_format) => engine.chat.completions.create({ messages: user("Say"), max_tokens: 40, response_format });
      const text = ({ choices }) => choices[0].message.content;
      const schema = await ask({ type: "json_object", schema: JSON.stringify({ type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"], additionalProperties: false }) });
      const tag = { type: "structural_tag", format: { type: "tag", begin: "<f>", content: { type: "regex", pattern: "[ab]{2}" }, end: "</f>" } };
      return [text(schema), text(await ask({ type: "grammar", grammar: 'root ::= "yes" | "no"' })), text(await ask({ type: "structural_tag", structural_tag: tag })), schema.usage];
    }""")
    assert isinstance(json.loads(schema)["ok"], bool) and grammar in ("yes", "no")
    assert tag[:3] == "<f>" and tag[3:5] in ("aa", "ab", "ba", "bb") and tag.endswith("</f>")
    assert {"grammar_init_s", "grammar_per_token_s"} <= set(usage["extra"])


def test_text_completion(page) -> None:
    reply = page.evaluate("""() => engine.completions.create({ prompt: "List", echo: true, n: 2, max_tokens: 4, logprobs: true, top_logprobs: 2, stop: ["~~~"], temperature: 1 })""")
    assert reply["object"] == "text_completion" and len(reply["choices"]) == 2
    for choice in reply["choices"]:
        assert choice["text"].startswith("List")
        entries = choice["logprobs"]["content"][-3:]
        assert all(entry["top_logprobs"] and entry["bytes"] and entry["logprob"] <= 0 for entry in entries)


def test_a_latency_breakdown(page) -> None:
    usage = page.evaluate("""async () => (await engine.chat.completions.create({ messages: user("Hi"), max_tokens: 3, ignore_eos: true, extra_body: { enable_latency_breakdown: true } })).usage""")
    breakdown = usage["extra"]["latencyBreakdown"]
    names = {"logitProcessorTime", "logitBiasTime", "penaltyTime", "sampleTime", "totalTime", "grammarBitmaskTime"}
    assert set(breakdown) == names and all(len(times) == usage["completion_tokens"] for times in breakdown.values())
    assert all(time > 0 for time in breakdown["totalTime"])


def test_thinking_may_be_asked_for(page) -> None:
    """Of a model that does not think, both are the same."""
    texts = page.evaluate("""async () => {
      const ask = async (enable_thinking) => (await engine.chat.completions.create({ messages: user("Hi"), max_tokens: 3, temperature: 0, extra_body: { enable_thinking } })).choices[0].message.content;
      return [await ask(true), await ask(false)];
    }""")
    assert texts[0] == texts[1]


def test_tokens_in_a_token_out(page) -> None:
    """What the logit-processor example does; the statistics' text is WebLLM's."""
    ids, text, stats = page.evaluate("""async () => {
      await engine.resetChat();
      const ids = [await engine.forwardTokensAndSample([3, 4, 5, 6], true)];
      for (let i = 0; i < 3; i++) ids.push(await engine.forwardTokensAndSample([ids.at(-1)], false));
      const stats = await engine.runtimeStatsText();
      await engine.resetChat();
      const again = await engine.forwardTokensAndSample([3, 4, 5, 6], true);
      await engine.resetChat();
      return [ids, again, stats];
    }""")
    assert len(ids) == 4 and all(0 <= token < 288 for token in ids)
    assert stats.startswith("prefill: ") and "decoding: " in stats and stats.endswith(" tokens/sec")


ERRORS = {
    "ModelNotFoundError": "engine.reload('nobody')",
    "ReloadModelIdNotUniqueError": "engine.reload(['a', 'a'])",
    "ReloadArgumentSizeUnmatchedError": "engine.reload(['a', 'b'], [{}])",
    "StreamingCountError": "chat({ stream: true, n: 2 })",
    "SeedTypeError": "chat({ seed: 1.5 })",
    "MessageOrderError": "chat({ messages: [{ role: 'user', content: 'a' }, { role: 'assistant', content: 'b' }] })",
    "SystemMessageOrderError": "chat({ messages: [...user('a'), { role: 'system', content: 'b' }, ...user('c')] })",
    "UserMessageContentErrorForNonVLM": "chat({ messages: user([{ type: 'text', text: 'a' }]) })",
    "InvalidResponseFormatError": "chat({ response_format: { type: 'text', schema: '{}' } })",
    "InvalidResponseFormatGrammarError": "chat({ response_format: { type: 'grammar' } })",
    "InvalidResponseFormatStructuralTagError": "chat({ response_format: { type: 'structural_tag' } })",
    "GrammarMatcherInitError": "chat({ response_format: { type: 'grammar', grammar: 'root ::= nothing' } })",
    "InvalidStreamOptionsError": "chat({ stream_options: { include_usage: true } })",
    "RangeError": "chat({ top_p: 0 })",
    "MinValueError": "chat({ max_tokens: 0 })",
    "NonNegativeError": "chat({ temperature: -1 })",
    "DependencyError": "chat({ top_logprobs: 2 })",
    "InvalidNumberStringError": "chat({ logit_bias: { abc: 1 } })",
    "ContextWindowSizeExceededError": "chat({ messages: user('long '.repeat(200)) })",
    "SpecifiedModelNotFoundError": "chat({ model: 'nobody' })",
    "UnsupportedFieldsError": "engine.completions.create({ prompt: 'a', suffix: 'b' })",
    "IncorrectPipelineLoadedError": "engine.embeddings.create({ input: 'a' })",
    "ModelNotLoadedError": "new webllm.MLCEngine().chat.completions.create({ messages: user('a') })",
}


def test_errors_have_webllms_names(page) -> None:
    """`reload` with a wrong argument leaves what is loaded; one of a model that is in no list unloads it, as WebLLM does: it comes last."""
    calls = {name: call for name, call in ERRORS.items() if name != "ModelNotFoundError"}
    found = page.evaluate(errors_script(calls))
    for name, text in found.items():
        assert text.startswith(f"{name}|") and text.endswith("|true"), (name, text)


def errors_script(calls: dict[str, str]) -> str:
    """The page's policy allows no `new Function`: the calls are written into the script."""
    tried = ", ".join(f"{name}: () => {call}" for name, call in calls.items())
    return f"""async () => {{
      const chat = async (more) => {{
        const answer = await engine.chat.completions.create({{ messages: user("a"), max_tokens: 1, ...more }});
        return more.stream ? all(answer) : answer;
      }};
      const found = {{}};
      for (const [name, call] of Object.entries({{ {tried} }})) {{
        found[name] = await call().then((a) => JSON.stringify(a), (e) => `${{e.name}}|${{e.message}}|${{e instanceof Error}}`);
      }}
      return found;
    }}"""
