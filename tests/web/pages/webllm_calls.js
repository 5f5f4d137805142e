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
  globalThis.appConfig = { model_list: [record(id, { overrides: { context_window_size: 128 } }), record("other-MLC", { overrides: { context_window_size: 4096 } })], useIndexedDBCache: true };
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
    ContextWindowSizeExceededError: () => chat({ messages: user('long '.repeat(200)) }),
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
