// The calls of tests/web/test_webllm.py, by the tests' names. `engine` has the model loaded; `user` and `all` are below.

export const user = (content) => [{ role: "user", content }];
export const all = async (chunks) => {
  const found = [];
  for await (const chunk of chunks) found.push(chunk);
  return found;
};

export const start = async ([id, model]) => {
  globalThis.webllm = await import("/fanlight/webllm.js");
  const record = (model_id, more) => ({ model: location.origin + model, model_id, model_lib: webllm.modelLibURLPrefix + webllm.modelVersion + "/x.wasm", ...more });
  globalThis.appConfig = { model_list: [record(id, { overrides: { context_window_size: 2048 } }), record("other-MLC", { overrides: { context_window_size: 4096 } })], useIndexedDBCache: true };
  globalThis.reports = [];
  const initProgressCallback = (report) => reports.push(report);
  globalThis.engine = await webllm.CreateMLCEngine(id, { appConfig, initProgressCallback, logLevel: "INFO" }, { temperature: 0.9, stream: true, model: "?" });
  return reports;
};

export const getStarted = () => engine.chat.completions.create({
  messages: [{ role: "system", content: "Short." }, { role: "user", content: "Hi" }],
  n: 3, temperature: 1.5, max_tokens: 4, logit_bias: { 40: -100, 41: 5 }, logprobs: true, top_logprobs: 2,
});

export const biases = async () => {
  const ask = async (logit_bias) => (await engine.chat.completions.create({ messages: user("a"), max_tokens: 3, logit_bias })).choices[0].message.content;
  return [await ask({ 40: 100 }), await ask({ 40: -100, 41: 100 })];
};

export const streamingWithUsage = async () => {
  const chunks = await all(await engine.chat.completions.create({ messages: user("Hi"), stream: true, stream_options: { include_usage: true }, max_tokens: 5, temperature: 0, ignore_eos: true }));
  return [chunks, await engine.getMessage()];
};

export const withoutIncludeUsageThereIsNone = async () => all(await engine.chat.completions.create({ messages: user("Hi"), stream: true, max_tokens: 2 }));

export const interrupting = async () => {
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
};

export const leavingTheLoopEndsTheAnswer = async () => {
  for await (const chunk of await engine.chat.completions.create({ messages: user("Go"), stream: true, max_tokens: 64, ignore_eos: true })) break;
  return (await engine.chat.completions.create({ messages: user("Go"), max_tokens: 1, ignore_eos: true })).choices[0].finish_reason;
};

export const aSeedGivesTheSameAgain = async () => {
  const ask = async (seed) => (await engine.chat.completions.create({ messages: user("Dice"), n: 2, seed, temperature: 1.2, max_tokens: 6 })).choices.map((c) => c.message.content);
  return [await ask(3), await ask(3), await ask(4)];
};

export const severalRounds = async () => {
  const messages = user("One");
  for (let i = 0; i < 2; i++) {
    const { choices } = await engine.chat.completions.create({ messages, max_tokens: 3, temperature: 0 });
    messages.push(choices[0].message, ...user("More"));
  }
  const { usage } = await engine.chat.completions.create({ messages, max_tokens: 1 });
  return [messages.length, usage.prompt_tokens];
};

export const jsonWithoutASchema = async () => (await engine.chatCompletion({ messages: user("JSON"), n: 2, max_tokens: 12, response_format: { type: "json_object" } })).choices;

export const aSchemaAsTextAGrammarAndAStructuralTag = async () => {
  const ask = async (response_format) => engine.chat.completions.create({ messages: user("Say"), max_tokens: 40, response_format });
  const text = ({ choices }) => choices[0].message.content;
  const schema = await ask({ type: "json_object", schema: JSON.stringify({ type: "object", properties: { ok: { type: "boolean" } }, required: ["ok"], additionalProperties: false }) });
  const tag = { type: "structural_tag", format: { type: "tag", begin: "<f>", content: { type: "regex", pattern: "[ab]{2}" }, end: "</f>" } };
  return [text(schema), text(await ask({ type: "grammar", grammar: 'root ::= "yes" | "no"' })), text(await ask({ type: "structural_tag", structural_tag: tag })), schema.usage];
};

export const textCompletion = () => engine.completions.create({ prompt: "List", echo: true, n: 2, max_tokens: 4, logprobs: true, top_logprobs: 2, stop: ["~~~"], temperature: 1 });

export const aLatencyBreakdown = async () => (await engine.chat.completions.create({ messages: user("Hi"), max_tokens: 3, ignore_eos: true, extra_body: { enable_latency_breakdown: true } })).usage;

export const thinkingMayBeAskedFor = async () => {
  const ask = async (enable_thinking) => (await engine.chat.completions.create({ messages: user("Hi"), max_tokens: 3, temperature: 0, extra_body: { enable_thinking } })).choices[0].message.content;
  return [await ask(true), await ask(false)];
};

export const tokensInATokenOut = async () => {
  await engine.resetChat();
  const ids = [await engine.forwardTokensAndSample([3, 4, 5, 6], true)];
  for (let i = 0; i < 3; i++) ids.push(await engine.forwardTokensAndSample([ids.at(-1)], false));
  const stats = await engine.runtimeStatsText();
  await engine.resetChat();
  const again = await engine.forwardTokensAndSample([3, 4, 5, 6], true);
  await engine.resetChat();
  return [ids, again, stats];
};

/** What each call fails with: name, text, whether it is an Error. */
export const errors = async () => {
  const chat = async (more) => {
    const answer = await engine.chat.completions.create({ messages: user("a"), max_tokens: 1, ...more });
    return more.stream ? all(answer) : answer;
  };
  const calls = {
    ReloadModelIdNotUniqueError: () => engine.reload(['a', 'a']),
    ReloadArgumentSizeUnmatchedError: () => engine.reload(['a', 'b'], [{}]),
    StreamingCountError: () => chat({ stream: true, n: 2 }),
    SeedTypeError: () => chat({ seed: 1.5 }),
    MessageOrderError: () => chat({ messages: [{ role: 'user', content: 'a' }, { role: 'assistant', content: 'b' }] }),
    SystemMessageOrderError: () => chat({ messages: [...user('a'), { role: 'system', content: 'b' }, ...user('c')] }),
    UserMessageContentErrorForNonVLM: () => chat({ messages: user([{ type: 'text', text: 'a' }]) }),
    InvalidResponseFormatError: () => chat({ response_format: { type: 'text', schema: '{}' } }),
    InvalidResponseFormatGrammarError: () => chat({ response_format: { type: 'grammar' } }),
    InvalidResponseFormatStructuralTagError: () => chat({ response_format: { type: 'structural_tag' } }),
    GrammarMatcherInitError: () => chat({ response_format: { type: 'grammar', grammar: 'root ::= nothing' } }),
    InvalidStreamOptionsError: () => chat({ stream_options: { include_usage: true } }),
    RangeError: () => chat({ top_p: 0 }),
    MinValueError: () => chat({ max_tokens: 0 }),
    NonNegativeError: () => chat({ temperature: -1 }),
    DependencyError: () => chat({ top_logprobs: 2 }),
    InvalidNumberStringError: () => chat({ logit_bias: { abc: 1 } }),
    ContextWindowSizeExceededError: () => chat({ messages: user('long '.repeat(500)) }),
    SpecifiedModelNotFoundError: () => chat({ model: 'nobody' }),
    UnsupportedFieldsError: () => engine.completions.create({ prompt: 'a', suffix: 'b' }),
    IncorrectPipelineLoadedError: () => engine.embeddings.create({ input: 'a' }),
    ModelNotLoadedError: () => new webllm.MLCEngine().chat.completions.create({ messages: user('a') }),
  };
  const found = {};
  for (const [name, call] of Object.entries(calls)) {
    found[name] = await call().then(JSON.stringify, (error) => `${error.name}|${error.message}|${error instanceof Error}`);
  }
  return found;
};

/** An engine in a worker of the user's, whose logit processor says "IJKL...". Its record asks for a longer context than the model has. */
export const aWorkerWithALogitProcessor = async () => {
  const worker = new Worker("/pages/webllm_user.js", { type: "module" });
  const reports = [];
  const initProgressCallback = ({ progress }) => reports.push(progress);
  const there = await webllm.CreateWebWorkerMLCEngine(worker, "other-MLC", { appConfig, initProgressCallback });
  const asked = { messages: user("Hi"), max_tokens: 4, temperature: 1.2 };
  const reply = await there.chat.completions.create(asked);
  const chunks = await all(await there.chat.completions.create({ ...asked, stream: true, stream_options: { include_usage: true } }));
  const message = await there.getMessage();
  const forced = [await there.forwardTokensAndSample([1, 2], true), await there.forwardTokensAndSample([44], false)];
  await there.unload();
  const gone = await there.chat.completions.create(asked).catch((error) => error.name);
  worker.terminate();
  return [reply.choices[0].message.content, chunks.at(-1).usage.completion_tokens, message, forced, gone, reports.at(-1)];
};

/** Two models in one engine, one ended load, and what is kept of a model. */
export const severalModels = async () => {
  const several = new webllm.MLCEngine({ appConfig });
  const first = several.reload("other-MLC");
  await new Promise((resolve) => setTimeout(resolve, 50));
  await several.unload();
  const aborted = await first.then(() => "resolved");
  await several.reload([...appConfig.model_list.map(({ model_id }) => model_id)]);
  const ask = (model) => several.chat.completions.create({ messages: user("Hi"), max_tokens: 2, ...(model && { model }) });
  const [one, two] = await Promise.all([ask("other-MLC"), ask(appConfig.model_list[0].model_id)]);
  const unclear = await ask().catch((error) => error.name);
  await several.unload();
  const kept = [await webllm.hasModelInCache("other-MLC", appConfig)];
  await webllm.deleteModelAllInfoInCache("other-MLC", appConfig);
  kept.push(await webllm.hasModelInCache("other-MLC", appConfig));
  return [aborted, one.model, two.model, unclear, kept];
};

/** An answer that was interrupted, as where its page was closed, goes on. */
export const resuming = async () => {
  const request = { messages: user("Go"), max_tokens: 12, temperature: 0, logit_bias: { 40: 100, 41: 100 }, stream: true };
  const whole = (await all(await engine.chat.completions.create(request))).map(({ choices }) => choices[0].delta.content ?? "").join("");
  const resumable = { enabled: true, sessionId: "s1" };
  let count = 0;
  for await (const _ of await engine.chat.completions.create({ ...request, extra_body: { resumable } })) if (++count === 4) break;
  const again = await engine.chat.completions.create({ ...request, extra_body: { resumable } }).catch((error) => error.name);
  const [before] = await engine.listResumableSessions();
  const probe = await engine.resumeChatCompletion("s1");
  const rest = await all(await engine.resumeChatCompletion("s1", { continueGeneration: true, stream: true }));
  const text = probe.recoveredText + rest.map(({ choices }) => choices[0].delta.content ?? "").join("");
  const [after] = await engine.listResumableSessions();
  await engine.deleteResumableSession("s1");
  return [whole, text, again, before, after, (await engine.listResumableSessions()).length];
};

const WEATHER = { type: "function", function: { name: "weather", description: "Of a place", parameters: { type: "object", properties: { unit: { enum: ["celsius", "fahrenheit"] } }, required: ["unit"], additionalProperties: false } } };

/** Tools by `tools`: whole, and as a stream whose last chunk but the usage's has them; then a second round with what the tool gave. */
export const toolsByTools = async () => {
  const asked = { messages: user("Weather?"), tools: [WEATHER], tool_choice: { type: "function", function: { name: "weather" } }, max_tokens: 200, seed: 3 };
  const { choices } = await engine.chat.completions.create(structuredClone(asked));
  const chunks = await all(await engine.chat.completions.create({ ...structuredClone(asked), stream: true, stream_options: { include_usage: true } }));
  const [call] = choices[0].message.tool_calls;
  const messages = [...asked.messages, choices[0].message, { role: "tool", content: "12", tool_call_id: call.id }];
  const again = await engine.chat.completions.create({ messages, tools: [WEATHER], tool_choice: "none", max_tokens: 3, logit_bias: { 40: 100 } });
  return [choices[0], chunks.at(-2).choices[0], chunks.at(-1).usage.completion_tokens, [again.choices[0].message, again.usage.completion_tokens]];
};

/** Tools as Hermes' users show them, in the system's prompt: calls come as text, and what the tool gave follows a message without calls. */
export const toolsByPrompt = async () => {
  const system = `You may call functions. <tools> ${JSON.stringify(WEATHER)} </tools> Answer within <tool_call></tool_call> tags.`;
  const messages = [{ role: "system", content: system }, ...user("Weather?")];
  const says = (text) => ({ type: "grammar", grammar: `root ::= ${JSON.stringify(text)}` });
  const called = '<tool_call>\n{"arguments": {"unit": "celsius"}, "name": "weather"}\n</tool_call>';
  const found = [];
  for (const [text, next] of [[called, { role: "tool", content: "<tool_response>\n{\"content\": 12}\n</tool_response>", tool_call_id: "0" }], ["12 degrees.", user("And now?")[0]], [called, null]]) {
    const { choices } = await engine.chat.completions.create({ messages, seed: 0, response_format: says(text) });
    found.push([choices[0].message.content, choices[0].message.tool_calls, choices[0].finish_reason]);
    if (next) messages.push({ role: "assistant", content: choices[0].message.content }, next);
  }
  return [found, called];
};

/** What WebLLM Chat's page does with an engine in a worker: its settings go along with each load, and messages are as it stores them. */
export const webllmChat = async (id) => {
  const handler = new webllm.WebWorkerMLCEngineHandler();
  handler.engine.unload();
  handler.engine = engine;
  const worker = { postMessage: (data) => void handler.onmessage({ data: structuredClone(data) }), onmessage: null };
  handler.postMessage = (data) => void worker.onmessage({ data: structuredClone(data) });
  engine.setInitProgressCallback((content) => handler.postMessage({ kind: "initProgressCallback", uuid: "", content }));
  const there = new webllm.WebWorkerMLCEngine(worker, { appConfig: { ...webllm.prebuiltAppConfig, model_list: appConfig.model_list, useIndexedDBCache: true }, logLevel: "WARN" });
  const settings = { model: id, cache: "index_db", stream: true, enable_thinking: false, temperature: 0.6, context_window_size: 512, top_p: 0.9, presence_penalty: 0, frequency_penalty: 0 };
  const texts = [];
  const said = (error) => error.message || error.toString() || "";
  const wrong = await there.reload("nobody-MLC", { ...settings, model: "nobody-MLC" }).catch(said);
  there.setInitProgressCallback(({ text }) => texts.push(text));
  await there.reload(id, settings);
  const stored = (role, content, more) => ({ id: "x1", date: "now", role, content, stopReason: "stop", streaming: false, isError: false, model: id, ...more });
  const messages = [stored("system", "Be short."), stored("user", "Hi"), stored("assistant", "Yes?", { usage: null }), stored("user", "Go on")];
  const answered = async (more, stopAt) => {
    let content = "", usage, stopReason, count = 0;
    const completion = await there.chatCompletion({ stream: true, messages, stream_options: { include_usage: true }, ...more });
    for await (const chunk of completion) {
      content += chunk.choices[0]?.delta.content ?? "";
      if (++count === stopAt) await there.interruptGenerate();
      usage = chunk.usage ?? usage;
      stopReason = chunk.choices[0]?.finish_reason ?? stopReason;
    }
    return { content, stopReason, usage };
  };
  const plain = { logit_bias: { 40: 100 }, max_tokens: 4 };
  const thinking = { extra_body: { enable_thinking: false } };
  const streamed = await answered({ ...plain, ...thinking });
  const whole = await there.chatCompletion({ stream: false, messages, ...plain });
  const stopped = await answered({ max_tokens: 200, ignore_eos: true }, 3);
  const tooLong = await there.chatCompletion({ stream: false, messages: [stored("user", "long ".repeat(300))] }).catch(said);
  engine.setAppConfig(appConfig);
  return { wrong, texts, streamed, whole: whole.choices[0], stopped, tooLong };
};

/** What WebLLM's script for a GPU's sanity asks, of a model and of the same with a logit processor: whether all is as it should be. */
export const sanity = async ([id, withProcessor]) => {
  let [there, close] = [engine, async () => {}];
  if (withProcessor) {
    const processor = { processLogits: (logits) => logits.fill(-100).fill(100, 0, 1), processSampledToken: () => {}, resetState: () => {} };
    there = await webllm.CreateMLCEngine(id, { appConfig, logLevel: "ERROR", logitProcessorRegistry: new Map([[id, processor]]) });
    close = () => there.unload();
  }
  const ask = async (more) => (await there.chat.completions.create({ messages: user("Test."), temperature: 1, logprobs: true, ...more })).choices[0].logprobs.content;
  const sure = (entries) => entries.length > 0 && entries.every(({ top_logprobs: [first] }) => first.logprob === 0);
  const found = {};
  if (withProcessor) found.processor = sure(await ask({ max_tokens: 4, top_logprobs: 1 }));
  else {
    found.bias = sure(await ask({ max_tokens: 8, top_logprobs: 1, logit_bias: { 0: 100 } }));
    found.penalties = !(await ask({ max_tokens: 64, presence_penalty: 2, frequency_penalty: 2, logit_bias: { 0: 100 }, ignore_eos: true })).every(({ logprob }) => logprob === 0);
    const sums = (await ask({ max_tokens: 8, top_logprobs: 5, logit_bias: { 40: 50, 41: 50, 42: 50 } })).map(({ top_logprobs: tops }) => tops.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0));
    found.sums = sums.every((sum) => Math.abs(sum - 1) < 0.1);
  }
  await close();
  return found;
};

/** As the embeddings example: vectors of texts, of one text, and of token ids, of a model that stands beside one that chats, in either order. */
export const embeddings = async ([id, texts, order]) => {
  const model_list = [...appConfig.model_list, { model: location.origin + "/vectors.gguf", model_id: "vectors", model_lib: "", model_type: webllm.ModelType.embedding }];
  const both = new webllm.MLCEngine({ appConfig: { model_list }, logLevel: "ERROR" });
  await both.reload(order);
  const many = await both.embeddings.create({ input: texts, model: "vectors" });
  const one = await both.embedding({ input: texts[0], model: "vectors", encoding_format: "float" });
  const unclear = await both.embeddings.create({ input: texts }).catch((error) => error.name);
  const wrong = await both.embeddings.create({ input: texts, model: id }).catch((error) => error.name);
  const chat = await both.chat.completions.create({ messages: user("Hi"), model: id, max_tokens: 2, ignore_eos: true });
  const notChat = await both.chat.completions.create({ messages: user("Hi"), model: "vectors" }).catch((error) => error.name);
  await both.unload();
  return { many, one, unclear, wrong, chat: chat.usage.completion_tokens, notChat };
};

/** An engine behind a service worker, with one of the models. */
export const share = async ([id, model, chatOpts]) => {
  globalThis.webllm = await import("/fanlight/webllm.js");
  const record = (model_id) => ({ model: location.origin + model, model_id, model_lib: "x.wasm", overrides: { context_window_size: 128 } });
  await navigator.serviceWorker.register("/sw.js", { type: "module", scope: "/" });
  globalThis.engine = await webllm.CreateServiceWorkerMLCEngine(id, { appConfig: { model_list: ["one-MLC", "two-MLC"].map(record) } }, chatOpts);
};

const alphabet = { messages: user("Go"), max_tokens: 40, temperature: 0, ignore_eos: true };
export const ofShared = async () => {
  const { model, choices } = await engine.chat.completions.create(alphabet);
  return [model, choices[0].message.content];
};

/** Reads the first chunks of a stream; `rest` reads what follows. */
export const streamOfShared = async () => {
  const chunks = (await engine.chat.completions.create({ ...alphabet, stream: true }))[Symbol.asyncIterator]();
  const texts = [];
  const take = async () => {
    const { value, done } = await chunks.next();
    if (!done) texts.push(value.choices[0].delta.content ?? "");
    return done;
  };
  for (let i = 0; i < 3; i++) await take();
  globalThis.rest = async () => {
    while (!(await take()));
    return texts.join("");
  };
};
