// What a user writes, with all of the package's types that it meets. Lines under @ts-expect-error must not compile.
import {
  type ChatCompletionMessageParam,
  checkWebGPU,
  deleteState,
  DoesNotFit,
  listModels,
  listStates,
  load,
  type Progress,
  type ResponseInputItem,
} from "fanlight";
import { configure, install, LanguageModel, type LanguageModelTool } from "fanlight/prompt-api";

const reason: string | null = await checkWebGPU();
const { signal } = new AbortController();
const onProgress = (progress: Progress) => console.log(progress.phase, progress.loadedBytes);
const engine = await load("built-in", { contextLength: 2048, signal, onProgress });
const messages: ChatCompletionMessageParam[] = [{ role: "user", content: "Hi" }];
const answer = await engine.chat.completions.create({ messages, top_k: 20, temperature: 0 });
const text: string | null | undefined = answer.choices[0]?.message.content;
for (const { message } of answer.choices) messages.push(message);
for await (const chunk of await engine.chat.completions.create({ messages: [], stream: true }, { signal })) {
  const delta: string | undefined = chunk.choices[0]?.delta.content;
  console.log(delta, chunk.usage?.total_tokens);
}
const tools = [{ type: "function" as const, function: { name: "now", parameters: { type: "object" } } }];
const called: string | undefined = (await engine.chat.completions.create({ messages, tools })).choices[0]?.message.tool_calls?.[0]?.function.name;
const response_format = { type: "json_object", schema: { type: "array" } } as const;
await engine.chat.completions.create({ messages: [], response_format });
await engine.completions.create({ prompt: "Pick:", structured_outputs: { choice: ["a", "b"] } });
const done = await engine.completions.create({ prompt: "Once" });
const said: string | undefined = done.choices[0]?.text;
const response = await engine.responses.create({ input: "Hi" }, { signal });
const items: ResponseInputItem[] = [...response.output, { role: "user", content: "Again." }];
for await (const event of await engine.responses.create({ input: items, stream: true })) {
  if (event.type === "response.output_text.delta") console.log(event.delta.length, event.sequence_number);
}
const vector: number[] | undefined = (await engine.embeddings.create({ input: "a" })).data[0]?.embedding;
const coded: string | undefined = (await engine.embeddings.create({ input: "a", encoding_format: "base64" })).data[0]?.embedding;
const score: number | undefined = (await engine.score.create({ text_1: "a", text_2: ["b", "c"] })).data[1]?.score;
const more = { name: "other", keepAlive: 60, contextOverflow: "drop_oldest" } as const;
const other: string = await engine.load({ opfs: "model.gguf" }, more);
await engine.unload(other);
await engine.chat.completions.create({ model: other, messages: [], context_overflow: "attention_sinks" });
const kept: number = await engine.saveState({ name: "talk", messages: [{ role: "user", content: "Hi" }] });
await engine.saveState({ name: "ids", model: other, prompt: [1, 2, 3] }, { signal });
const [state] = await listStates();
await engine.restoreState(state?.file ?? "talk", { model: other, signal });
const wasThere: boolean = await deleteState("talk");
await load("built-in", { makesRoom: true, memoryBytes: 2 ** 32 });
await load(new File([], "a.gguf"), { store: false });
const names: string[] = (await listModels()).map((model) => model.name);
const total: number = engine.memoryPlan.total;
try {
  await engine.close();
} catch (error) {
  if (error instanceof DoesNotFit) error.hint.toUpperCase();
}
const fetched: Response = await engine.fetch("/v1/models"); // the platform's, not OpenAI's

configure({ model: "built-in", contextLength: 2048, onProgress });
configure({ engine, model: other });
const isOurs: boolean = install({ legacy: true });
const tool: LanguageModelTool = { name: "now", description: "The time", inputSchema: { type: "object" }, execute: async () => "noon" };
const session = await LanguageModel.create({ initialPrompts: [{ role: "system", content: "Be brief." }], tools: [tool], signal, monitor: (m) => (m.ondownloadprogress = (e) => e.loaded) });
const told: string = await session.prompt("Hi", { responseConstraint: /yes|no/, signal });
const pieces: ReadableStream<string> = session.promptStreaming([{ role: "user", content: [{ type: "text", value: "Hi" }] }]);
await session.append("more");
const left: number = session.contextWindow - session.contextUsage - (await (await session.clone()).measureContextUsage("Hi"));
session.oncontextoverflow = (event) => event.preventDefault();
session.destroy();

// @ts-expect-error sessions are created
new LanguageModel();
// @ts-expect-error a message needs a role
await session.prompt([{ content: "Hi" }]);
// @ts-expect-error a model, or an engine
configure({ contextLength: 2048 });
// @ts-expect-error a state is of a prompt
await engine.saveState({ name: "nothing" });
// @ts-expect-error a message needs a role
await engine.chat.completions.create({ messages: [{ content: "Hi" }] });
// @ts-expect-error no such field
await engine.chat.completions.create({ messages, temprature: 0 });
// @ts-expect-error functions are refused: tools took their place
await engine.chat.completions.create({ messages, functions: [] });
// @ts-expect-error no such format
await engine.completions.create({ prompt: "", response_format: { type: "xml" } });
// @ts-expect-error no such option
await load("built-in", { contextSize: 1 });
// @ts-expect-error a text, unless base64 is asked for
const wrong: string = (await engine.embeddings.create({ input: "a" })).data[0]!.embedding;

export { called, coded, fetched, isOurs, kept, left, names, pieces, reason, said, score, text, told, total, vector, wasThere, wrong };
