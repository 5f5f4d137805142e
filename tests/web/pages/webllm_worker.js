// A worker for tests: one of the two packages' handlers (?from=...), with an engine that only says what it was asked.
const { WebWorkerMLCEngineHandler } = await import(new URL(location.href).searchParams.get("from"));

const handler = new WebWorkerMLCEngineHandler();
const calls = [];
const told = (name, answer) => async (...given) => {
  calls.push([name, ...given]);
  return answer;
};
const usage = { completion_tokens: 2, prompt_tokens: 3, total_tokens: 5, extra: {} };

async function* chunks(request, object) {
  calls.push(["begun", object]);
  try {
    for (const text of ["a", "b", "c"]) {
      yield { object, choices: [{ index: 0, text, delta: { content: text }, finish_reason: null }] };
      if (request.max_tokens === 1) throw new RangeError("it broke");
    }
  } finally {
    calls.push(["ended", object]);
  }
}
const answer = (object) => async (request) => {
  calls.push([object, request]);
  return request.stream ? chunks(request, object) : { object, choices: [], usage };
};

handler.engine = {
  async reload(ids, options) {
    calls.push(["reload", ids, options ?? null]);
    if (ids.includes("nobody")) throw Object.assign(new Error("no such model"), { name: "ModelNotFoundError" });
    handler.postMessage({ kind: "initProgressCallback", uuid: "", content: { progress: 1, timeElapsed: 2, text: "Finish loading" } });
  },
  chatCompletion: answer("chat.completion"),
  completion: answer("text_completion"),
  embedding: answer("list"),
  unload: told("unload"),
  resetChat: told("resetChat"),
  interruptGenerate: told("interruptGenerate"),
  setLogLevel: told("setLogLevel"),
  setAppConfig: told("setAppConfig"),
  getMessage: async () => JSON.stringify(calls),
  runtimeStatsText: told("runtimeStatsText", "prefill: 1 tokens/sec, decoding: 2 tokens/sec"),
  forwardTokensAndSample: told("forwardTokensAndSample", 42),
  getGPUVendor: told("getGPUVendor", "acme"),
  getMaxStorageBufferBindingSize: told("getMaxStorageBufferBindingSize", 1024),
  listResumableSessions: told("listResumableSessions", []),
  deleteResumableSession: told("deleteResumableSession"),
  resumeChatCompletion: async (id, options) => (options?.stream ? chunks({}, "resumed") : { sessionId: id }),
};
self.onmessage = (event) => handler.onmessage(event);
self.postMessage("ready");
