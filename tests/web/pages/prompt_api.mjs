// What tests/web/test_prompt_api.py looks at, by the tests' names, in Node: the package's LanguageModel on an engine behind an address.
// usage: node prompt_api.mjs PACKAGE ADDRESS; writes what each gave, or how it failed, as JSON.

const [, , dist, address] = process.argv;

// What a page has and Node has not.
globalThis.ProgressEvent ??= class extends Event {
  constructor(type, { loaded = 0, total = 0, lengthComputable = false } = {}) {
    super(type);
    Object.assign(this, { loaded, total, lengthComputable });
  }
};
globalThis.isSecureContext = true;
globalThis.location ??= new URL("http://localhost/");
Object.defineProperty(globalThis, "navigator", { value: { gpu: { requestAdapter: async () => ({ limits: {}, features: new Set() }) } }, configurable: true });

const { ContextOverflow, RequestError, SourceError } = await import(`file://${dist}/index.js`);
const { configure, install, LanguageModel } = await import(`file://${dist}/prompt-api.js`);

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const post = (path, body, signal) => fetch(address + path, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body), signal: signal ?? null });
const seen = async () => (await post("/seen", {})).json(); // the prompts that came since it was last asked, as the model has them

function scripted(model = "scripted") {
  const create = async (body, { signal } = {}) => {
    const answer = await post("/v1/chat/completions", { ...body, model }, signal);
    const told = await answer.json();
    if (!answer.ok) throw new (told.error.code === "context_length_exceeded" ? ContextOverflow : RequestError)(told.error.message, { param: told.error.param });
    return told.items ? slowly(told.items, signal) : told;
  };
  const list = async () => (await post("/v1/models", { model })).json();
  const engine = { info: { model }, chat: { completions: { create } }, models: { list }, fetch: (url, init) => post(new URL(url).pathname, init.body, init.signal), closed: 0 };
  engine.close = async () => void engine.closed++;
  return engine;
}

async function* slowly(items, signal) {
  for (const item of items) {
    await pause(items.length > 20 ? 5 : 0);
    signal?.throwIfAborted();
    yield item;
  }
}

const engine = scripted();
const create = (options) => LanguageModel.create(options);
const failure = async (work) => {
  try {
    return { value: (await work()) ?? null };
  } catch (error) {
    return { name: error.name, kind: error.constructor.name, message: String(error.message), requested: error.requested ?? null, quota: error.quota ?? null, cause: error.cause?.name ?? null };
  }
};
const names = async (works) => Promise.all(works.map(async (work) => (await failure(work)).name ?? "fine"));
const read = async (stream) => {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return pieces;
};
const LONG = `say: ${"word ".repeat(9)}`; // more pieces than are given at once

const tests = {
  async shape() {
    const session = await create();
    const numbers = ["contextUsage", "contextWindow", "inputUsage", "inputQuota", "tokensSoFar", "maxTokens", "tokensLeft", "topK", "temperature"];
    return {
      numbers: Object.fromEntries(numbers.map((name) => [name, session[name]])),
      methods: ["prompt", "promptStreaming", "append", "measureContextUsage", "measureInputUsage", "countPromptTokens", "clone", "destroy"].map((name) => typeof session[name]),
      handlers: [session.oncontextoverflow, session.onquotaoverflow],
      others: [session instanceof LanguageModel, session instanceof EventTarget, String(session), session.samplingMode, (await failure(() => new LanguageModel())).kind],
    };
  },

  async conversation() {
    await seen();
    const initialPrompts = [{ role: "system", content: "Be brief." }, { role: "user", content: [{ type: "text", value: "a" }, { type: "text", value: "b" }] }, { role: "assistant", content: "c" }];
    const session = await create({ initialPrompts: new Set(initialPrompts) });
    const usages = [session.contextUsage];
    const measured = await session.measureContextUsage("say: one");
    const answers = [await session.prompt("say: one")];
    usages.push(session.contextUsage);
    const same = [await session.measureInputUsage("x y"), await session.countPromptTokens("x y"), await session.measureContextUsage("x y")];
    await session.append("x y");
    usages.push(session.contextUsage);
    answers.push(await session.prompt([{ role: "user", content: "z" }, { role: "assistant", content: "w" }, { role: "user", content: "say: two" }]));
    return { usages, measured, same, answers, prompts: await seen() };
  },

  async streaming() {
    const session = await create();
    const stream = session.promptStreaming("say: one two three four");
    const pieces = await read(stream);
    await seen();
    await session.prompt("more");
    return { kind: Object.prototype.toString.call(stream), pieces, prompts: await seen() };
  },

  async inputs() {
    await seen();
    for (const input of [{}, [], null, undefined, 5, "", [{ role: "user", content: [] }], [{ role: "user", content: { toString: () => "made" } }], [{ role: "user", content: [{ type: "text", value: 7 }] }]]) {
      await (await create()).prompt(input);
    }
    return (await seen()).map((prompt) => prompt.split("<|im_start|>user\n")[1].split("<|im_end|>")[0]);
  },

  async refusedPrompts() {
    const session = await create();
    await session.prompt("first");
    const used = session.contextUsage;
    const user = (content, more) => [{ role: "user", content, ...more }];
    const part = (type, value) => user([{ type, value }]);
    const prompts = {
      "no argument": [],
      "a symbol": [Symbol("a")],
      "a message that is none": [["a"]],
      "no role": [[{ content: "a" }]],
      "no content": [[{ role: "user" }]],
      "an unknown role": [[{ role: "tool", content: "a" }]],
      "an unknown type": [part("video", "a")],
      "a part without a value": [user([{ type: "text" }])],
      "bytes as text": [part("text", new Uint8Array(3))],
      "a system message later": [[{ role: "system", content: "a" }]],
      "options that are none": ["a", 5],
      "a signal that is none": ["a", { signal: {} }],
      "a null constraint": ["a", { responseConstraint: null }],
      "a text as constraint": ["a", { responseConstraint: "{}" }],
      "a list as constraint": ["a", { responseConstraint: [] }],
      "nothing to omit": ["a", { omitResponseConstraintInput: true }],
      "a schema that is a circle": ["a", { responseConstraint: ((circle) => (circle.a = circle))({}) }],
      "a keyword that is not enforced": ["a", { responseConstraint: { type: "object", patternProperties: { "(?=a)": {} } } }],
      "a flag": ["a", { responseConstraint: /a/i }],
      "a pattern that is not enforced": ["a", { responseConstraint: /(a)\1/ }],
      "an image": [part("image", new Blob([]))],
      "an image that is a text": [part("image", "a")],
      "audio": [part("audio", new ArrayBuffer(2))],
      "a tool's response": [part("tool-response", "a")],
      "a prefix of the user's": [user("a", { prefix: true })],
      "a prefix that is not last": [[{ role: "assistant", content: "a", prefix: true }, { role: "user", content: "b" }]],
    };
    const found = {};
    for (const [what, args] of Object.entries(prompts)) {
      const thrown = (() => {
        try {
          return void session.promptStreaming(...args).cancel();
        } catch (error) {
          return error.name;
        }
      })();
      const streamed = await failure(async () => read(session.promptStreaming(...args)));
      found[what] = [(await failure(() => session.prompt(...args))).name ?? "fine", streamed.name ?? "fine", thrown ?? "at once not"];
    }
    return { found, unchanged: session.contextUsage === used, append: await names([() => session.append(), () => session.append(part("image", "a")), () => session.append([{ role: "system", content: "" }])]) };
  },

  async refusedSessions() {
    const options = {
      "options that are none": 5,
      "prompts that are none": { initialPrompts: "ab" },
      "a prompt that is none": { initialPrompts: [{}] },
      "a system message that is second": { initialPrompts: [{ role: "user", content: "a" }, { role: "system", content: "b" }] },
      "two system messages": { initialPrompts: [{ role: "system", content: "a" }, { role: "system", content: "b" }] },
      "a prefix of the user's": { initialPrompts: [{ role: "user", content: "a", prefix: true }] },
      "an image": { initialPrompts: [{ role: "user", content: [{ type: "image", value: new Blob([]) }] }] },
      "images are expected": { expectedInputs: [{ type: "image" }] },
      "sounds are to be made": { expectedOutputs: [{ type: "text" }, { type: "audio" }] },
      "an unknown type": { expectedInputs: [{ type: "smell" }] },
      "no type": { expectedInputs: [{}] },
      "a language that is none": { expectedInputs: [{ type: "text", languages: ["not a tag"] }] },
      "a temperature below 0": { temperature: -0.1 },
      "a temperature that is none": { temperature: "hot" },
      "a topK below 1": { topK: 0 },
      "an unknown mode": { samplingMode: "wild" },
      "mode and temperature": { samplingMode: "creative", temperature: 1 },
      "a tool without execute": { tools: [{ name: "a", description: "b", inputSchema: {} }] },
      "a tool's schema that is none": { tools: [{ name: "a", description: "b", inputSchema: "{}", execute() {} }] },
      "two tools of a name": { tools: [1, 2].map(() => ({ name: "a", description: "b", inputSchema: {}, execute() {} })) },
      "a monitor that is none": { monitor: {} },
      "a signal that is none": { signal: 1 },
      "an aborted signal": { signal: AbortSignal.abort() },
      "too long a prompt": { initialPrompts: [{ role: "user", content: "word ".repeat(300) }] },
    };
    const found = {};
    for (const [what, given] of Object.entries(options)) found[what] = (await failure(() => create(given))).name ?? "fine";
    const fine = { expectedInputs: [{ type: "text", languages: ["en", "pt-br"] }, { type: "tool-response" }], expectedOutputs: [{ type: "tool-call" }], temperature: Infinity, topK: 3.7, unknown: 1 };
    const session = await create(fine);
    const available = [];
    for (const given of [undefined, fine, { expectedInputs: [{ type: "image" }] }]) available.push(await LanguageModel.availability(given));
    return { found, clamped: [session.temperature, session.topK], available, refused: await names([() => LanguageModel.availability({ topK: 0 }), () => LanguageModel.availability(null)]) };
  },

  async systemMessages() {
    await seen();
    const one = await create();
    await one.prompt([{ role: "system", content: "S" }, { role: "user", content: "a" }]);
    const two = await create();
    await two.append([{ role: "system", content: "S" }]);
    await two.prompt("a");
    const prompts = await seen();
    const three = await create({ initialPrompts: [{ role: "user", content: "a" }] });
    return { prompts: [prompts[0], prompts.at(-1)], later: await names([() => one.prompt([{ role: "system", content: "S" }]), () => three.prompt([{ role: "system", content: "S" }])]) };
  },

  async prefixes() {
    const session = await create();
    await seen();
    const said = await session.prompt([{ role: "user", content: "say: gnome" }, { role: "assistant", content: "name = ", prefix: true }]);
    await session.prompt([{ role: "user", content: "more" }, { role: "assistant", content: "", prefix: true }]);
    return { said, prompts: await seen() };
  },

  async aborting() {
    const session = await create();
    const reason = new Error("mine");
    const works = {
      create: (signal) => create({ signal }),
      prompt: (signal) => session.prompt(LONG, { signal }),
      append: (signal) => session.append("a", { signal }),
      measure: (signal) => session.measureContextUsage("a", { signal }),
      clone: (signal) => session.clone({ signal }),
      stream: async (signal) => read(session.promptStreaming(LONG, { signal })),
    };
    const found = {};
    for (const [what, work] of Object.entries(works)) {
      found[what] = [];
      for (const why of [undefined, reason]) {
        const aborter = new AbortController();
        const promise = failure(() => work(aborter.signal));
        aborter.abort(why);
        for (const { name, message } of [await promise, await failure(() => work(aborter.signal))]) found[what].push(name === "Error" ? message : name);
      }
    }
    const aborter = new AbortController();
    const late = failure(() => session.prompt(LONG, { signal: aborter.signal }));
    await pause(60); // it answers by now
    aborter.abort(reason);
    found.late = [(await late).message];
    await seen();
    const usage = session.contextUsage;
    return { found, usage, said: await session.prompt("say: still here"), prompts: await seen() };
  },

  async cancellingAStream() {
    const session = await create();
    const reader = session.promptStreaming(LONG).getReader();
    const first = await reader.read();
    await reader.cancel();
    await seen();
    const said = await session.prompt("say: next");
    return { first: typeof first.value, said, prompts: await seen() };
  },

  async queue() {
    const session = await create();
    await seen();
    const aborter = new AbortController();
    const order = [];
    const note = (name) => (value) => order.push([name, value]);
    const all = [
      session.prompt(LONG).then(note("long")),
      session.append("appended").then(note("append")),
      session.prompt("say: never", { signal: aborter.signal }).catch((error) => note("aborted")(error.name)),
      session.prompt("say: last").then(note("last")),
      session.clone().then((clone) => note("clone")(clone.contextUsage > 0 && clone.contextUsage === session.contextUsage)),
    ];
    aborter.abort();
    await Promise.all(all);
    return { order: order.map(([name]) => name), last: order.slice(-2), prompts: await seen() };
  },

  async destroying() {
    const reason = new Error("mine");
    const ends = { destroy: (session) => session.destroy(), abort: (session, aborter) => aborter.abort(reason) };
    const found = {};
    for (const [what, end] of Object.entries(ends)) {
      const aborter = new AbortController();
      const session = await create({ signal: aborter.signal });
      const clone = await session.clone();
      const works = [() => session.prompt(LONG), () => session.append("a"), () => session.measureContextUsage("a"), () => session.clone(), async () => read(session.promptStreaming("a"))];
      const open = works.map(failure);
      end(session, aborter);
      session.destroy();
      const all = await Promise.all([...open, ...works.map(failure)]);
      found[what] = { errors: [...new Set(all.map(({ name, message }) => `${name}: ${message}`))], count: all.length, clone: await clone.prompt("say: alive") };
    }
    return found;
  },

  async cloning() {
    const session = await create({ temperature: 0.5, topK: 4, initialPrompts: [{ role: "system", content: "S" }] });
    await session.prompt("say: one");
    const clone = await session.clone();
    const same = ["contextUsage", "contextWindow", "temperature", "topK"].map((name) => clone[name] === session[name]);
    await clone.prompt("only in the clone");
    await seen();
    await session.prompt("only in the first");
    await clone.prompt("end");
    return { same, isSame: clone === session, prompts: await seen() };
  },

  async overflow() {
    const session = await create({ initialPrompts: [{ role: "system", content: "S" }, { role: "user", content: "kept" }, { role: "assistant", content: "too" }] });
    const events = [];
    session.addEventListener("contextoverflow", (event) => events.push(event.type));
    session.addEventListener("quotaoverflow", (event) => events.push(event.type));
    session.oncontextoverflow = function (event) {
      events.push(`on${event.type}`, this === session);
    };
    for (let i = 0; i < 3; i++) await session.prompt(`turn-${i} ${"word ".repeat(12)}`);
    const before = events.length;
    await seen();
    await session.prompt(`turn-3 ${"word ".repeat(30)}`);
    const prompts = await seen();
    const [usage, window] = [session.contextUsage, session.contextWindow];
    const tooMuch = await failure(() => session.prompt("word ".repeat(300)));
    const farTooMuch = await failure(() => session.append("word ".repeat(5000)));
    await session.prompt("turn-4");
    return { before, events, prompts, usage, window, tooMuch, farTooMuch, after: (await seen()).at(-1), initial: await failure(() => create({ initialPrompts: [{ role: "user", content: "word ".repeat(300) }] })) };
  },

  async constraints() {
    await seen();
    const schema = { type: "object", properties: { rating: { type: "number", minimum: 0, maximum: 5 } }, required: ["rating"], additionalProperties: false };
    const session = await create();
    const asked = await session.measureContextUsage("a", { responseConstraint: schema });
    const omitted = await session.measureContextUsage("a", { responseConstraint: schema, omitResponseConstraintInput: true });
    const plain = await session.measureContextUsage("a");
    await seen();
    const answers = [await session.prompt("constrained?", { responseConstraint: schema }), await session.prompt("constrained?", { responseConstraint: /^a\/[b\\]+\d$/gu, omitResponseConstraintInput: true }), await session.prompt("constrained?")];
    const prompts = await seen();
    const cut = await failure(() => session.prompt("endless", { responseConstraint: schema }));
    return { measured: [asked > omitted, omitted === plain], answers, prompts, cut, free: (await session.prompt("endless")).length > 0 };
  },

  async tools() {
    const calls = [];
    let open = 0;
    let most = 0;
    const weather = {
      name: "weather",
      description: "Of a place",
      inputSchema: { type: "object", properties: { place: { type: "string" } }, required: ["place"] },
      async execute(...args) {
        most = Math.max(most, ++open);
        await pause(5);
        open--;
        calls.push(args);
        return `sunny in ${args[0].place}`;
      },
    };
    const failing = { ...weather, name: "failing", execute: async () => Promise.reject(new RangeError("no such place")) };
    configure({ engine: scripted("roomy") });
    const session = await create({ tools: [weather, failing] });
    const before = session.contextUsage;
    await seen();
    const said = await session.prompt("call: weather Bern, weather Rome");
    const prompts = await seen();
    const streamed = await read(session.promptStreaming("call: nobody Bern"));
    const usage = session.contextUsage;
    const failed = await failure(() => session.prompt("call: failing Bern"));
    await seen();
    await session.prompt("end");
    return { before, said, calls, most, prompts, streamed, failed, unchanged: usage < session.contextUsage, after: await seen() };
  },

  async sampling() {
    const asked = async (options) => (await create(options)).prompt("sampling?");
    const modes = ["most-predictable", "predictable", "balanced", "creative", "most-creative"];
    return {
      own: await asked(),
      raw: await asked({ temperature: 0.25, topK: 7 }),
      modes: await Promise.all(modes.map(async (samplingMode) => Number((await asked({ samplingMode })).split(" ")[0]))),
      named: (await create({ samplingMode: "creative" })).samplingMode,
      params: await LanguageModel.params(),
    };
  },

  async monitor() {
    const steps = [0, 0.25, 0.25, 0.2, 0.333333];
    const made = [];
    const load = async (model, { onProgress, signal }) => {
      made.push(model);
      for (const step of steps) {
        await pause(1);
        signal.throwIfAborted();
        onProgress({ phase: "weights", loadedBytes: step * 3e6, totalBytes: 3e6, text: "" });
      }
      await pause(5);
      signal.throwIfAborted();
      if (model.endsWith("gone.gguf")) throw new SourceError("HTTP 404", { where: model });
      return engine;
    };
    const watch = (events, options) => create({ ...options, monitor: (monitor) => monitor.addEventListener("downloadprogress", ({ loaded, total, lengthComputable }) => events.push([loaded, total, lengthComputable])) });
    configure({ model: "https://a.example/a.gguf", load });
    const [one, two, three] = [[], [], []];
    const before = await LanguageModel.availability();
    const creating = [watch(one), watch(two)];
    await pause(5);
    const during = await LanguageModel.availability();
    await Promise.all(creating);
    await watch(three);
    const found = { before, during, after: await LanguageModel.availability(), one, two, three, loads: made.length };

    const reason = new Error("mine");
    found.thrown = await failure(() => create({ monitor() { throw reason; } }));
    for (const at of [0, 1]) {
      configure({ model: `https://a.example/${at}.gguf`, load });
      const aborter = new AbortController();
      const told = [];
      let came;
      const event = new Promise((resolve) => (came = resolve));
      const monitor = (given) => (given.ondownloadprogress = ({ loaded }) => {
        told.push(loaded);
        if (loaded === at) came();
      });
      const creating = failure(() => create({ monitor, signal: aborter.signal }));
      await event; // its task is not over
      aborter.abort(reason);
      found[`at ${at}`] = [(await creating).message, told.at(-1)];
      found[`again ${at}`] = (await failure(async () => (await create()).prompt("say: yes"))).value;
      found[`loads ${at}`] = made.filter((model) => model.endsWith(`/${at}.gguf`)).length;
    }
    configure({ model: "https://a.example/gone.gguf", load });
    found.gone = await failure(create);
    return found;
  },

  async configuring() {
    const [first, second] = [scripted(), scripted()];
    const load = async (model) => (model.endsWith("1") ? first : second);
    configure({ model: "https://a.example/1", load });
    const one = await create();
    const clone = await one.clone();
    configure({ model: "https://a.example/2", load });
    const two = await create();
    one.destroy();
    const held = first.closed;
    const said = await clone.prompt("say: still mine");
    clone.destroy();
    two.destroy();
    const left = [first.closed, second.closed];
    configure({ engine: first, model: "scripted" });
    (await create()).destroy();
    configure({ engine: first, model: "other" });
    const unknown = await failure(create);
    configure({ engine });
    return { held, said, left, owned: first.closed, unknown, none: (await failure(async () => configure({}))).name };
  },

  async alternating() {
    configure({ engine: scripted("strict") });
    await seen();
    const session = await create({ initialPrompts: [{ role: "system", content: "S" }] });
    await session.append("a");
    const said = await session.prompt("say: b");
    configure({ engine });
    return { said, usage: session.contextUsage, prompts: await seen() };
  },

  async installing() {
    const own = class {};
    globalThis.LanguageModel = own;
    const kept = [install(), globalThis.LanguageModel === own];
    const replaced = [install({ replace: true, legacy: true }), globalThis.LanguageModel === LanguageModel, Object.keys(globalThis).includes("LanguageModel")];
    delete globalThis.LanguageModel;
    const fresh = [install(), globalThis.LanguageModel === LanguageModel];
    await seen();
    const session = await ai.languageModel.create({ systemPrompt: "S", initialPrompts: [{ role: "user", content: "a" }] });
    return { kept, replaced, fresh, capabilities: await ai.languageModel.capabilities(), prompts: await seen(), usage: session.tokensSoFar > 0 };
  },
};

const found = {};
process.on("unhandledRejection", (error) => (found.unhandled = String(error.stack ?? error)));
for (const [name, test] of Object.entries(tests)) {
  configure({ engine });
  const late = new Promise((resolve) => setTimeout(() => resolve({ broke: "it takes too long" }), 20_000).unref());
  found[name] = await Promise.race([test().catch((error) => ({ broke: String(error.stack) })), late]);
}
process.stdout.write(JSON.stringify(found), () => process.exit(0));
