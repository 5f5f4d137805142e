// Stands in for the package (served as /fanlight/index.js), for what the page does with an engine's answers and errors.
// A test says what happens in `globalThis.plan`: missing, models, loadError, chatError ([class, message, details]), sampling, reasoning, toolCalls, answer or its pieces, pace;
// of a model that hears: said, hearError; of a second model: embedderError, vectors ([pattern, vector] of the texts that it is to find in).
// The catalogue and the hub's calls are the package's own, which lies beside.
import { FanlightError } from "./package.js";
export { catalogue, chooseFiles, fetchCatalogue, footprint, hubName, isPooled, listFiles, modelOf, parseHubId, searchModels } from "./package.js";
export { FanlightError };

const plan = (globalThis.plan ??= {});
globalThis.calls = { loads: [], bodies: [], embedded: [] };

const failure = (message, { name, ...details }) => Object.assign(new FanlightError(message, details), { name });

const wait = (signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, plan.pace ?? 1);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });

function failOnce(key) {
  if (!plan[key]) return;
  const [name, message, details] = plan[key];
  plan[key] = null;
  throw failure(message, { name, ...details });
}

export const checkWebGPU = async () => plan.missing ?? null;
export const listModels = async () => plan.models ?? [];
export async function deleteModel(url) {
  plan.models = plan.models.filter((model) => model.url !== url);
  return true;
}

export { load as shareEngine };

export async function load(model, { onProgress, signal, contextLength }) {
  globalThis.calls.loads.push({ model: model instanceof File ? model.name : model, contextLength });
  for (const phase of ["runtime", "header", "compile"]) {
    onProgress({ phase, loadedBytes: 0, totalBytes: 0, text: "" });
    await wait(signal);
  }
  failOnce("loadError");
  for (let loadedBytes = 0; loadedBytes <= 770e6; loadedBytes += 77e6) {
    onProgress({ phase: "weights", loadedBytes, totalBytes: 770e6, text: "" });
    await wait(signal);
  }
  const memory = { weight: 770e6, kv: 134e6, arena: 21e6, io: 1e5, staging: 4e6, total: 929.1e6 };
  const info = { model: "Llama-3.2-1B-Instruct-Q4_0", context_length: contextLength ?? 4096, memory, has_chat_template: true, sampling: plan.sampling ?? {}, ...plan.info };
  const create = async (body, options) => {
    globalThis.calls.bodies.push(body);
    return answer(options.signal);
  };
  const audio = { transcriptions: { create: hear } };
  return { info, memoryPlan: memory, chat: { completions: { create } }, load: loadMore, embeddings: { create: embed }, audio, close: async () => {} };
}

async function hear({ file, ...body }) {
  globalThis.calls.heard = { size: file.size, ...body };
  failOnce("hearError");
  return { text: plan.said ?? "" };
}

async function loadMore(model) {
  globalThis.calls.loads.push({ model });
  failOnce("embedderError");
  return "embedder";
}

async function embed({ model, input }) {
  if (model !== "embedder") throw new FanlightError(`there is no model '${model}'`, { name: "RequestError" });
  globalThis.calls.embedded.push(...input);
  const vector = (text) => plan.vectors.find(([pattern]) => new RegExp(pattern).test(text))?.[1] ?? [0, 0, 1];
  return { data: input.map((text, index) => ({ index, embedding: vector(text) })) };
}

async function* answer(signal) {
  failOnce("chatError");
  const pieces = plan.pieces ?? (plan.answer ?? "It is **light** over a door.").split(/(?<=\s)/).filter(Boolean);
  if (plan.reasoning) yield { choices: [{ delta: { reasoning_content: plan.reasoning }, finish_reason: null }] };
  for (const call of plan.toolCalls ?? []) yield { choices: [{ delta: { tool_calls: [call] }, finish_reason: null }] };
  for (const content of pieces) {
    await wait(signal);
    yield { choices: [{ delta: { content }, token_ids: [1], finish_reason: null }] };
  }
  yield { choices: [{ delta: {}, finish_reason: "stop" }] };
  yield { choices: [], usage: { prompt_tokens: 9, completion_tokens: pieces.length }, timings: { decode_tps: 91.37 } };
}
