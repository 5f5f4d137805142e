// fanlight/webllm where code says @mlc-ai/web-llm's types, and the other way round. The classes of chat, completions and embeddings have private
// members, so that no other class can be theirs: they are compared by what they do.
import * as theirs from "@mlc-ai/web-llm";
import * as ours from "fanlight/webllm";

type Flat = Omit<theirs.MLCEngineInterface, "chat" | "completions" | "embeddings">;
type Groups = { chat: { completions: Pick<theirs.Chat["completions"], "create"> }; completions: Pick<theirs.Completions, "create">; embeddings: Pick<theirs.Embeddings, "create"> };
type Options = theirs.ChatOptions | theirs.ChatOptions[];

declare const worker: Worker;
export const engines: (Flat & Groups)[] = [new ours.MLCEngine(), new ours.WebWorkerMLCEngine(worker), new ours.ServiceWorkerMLCEngine()];

export const create: (id: string | string[], config?: theirs.MLCEngineConfig, options?: Options) => Promise<Flat & Groups> = ours.CreateMLCEngine;
export const createInWorker: (worker: any, id: string | string[], config?: theirs.MLCEngineConfig, options?: Options) => Promise<Flat & Groups> = ours.CreateWebWorkerMLCEngine;
export const createBehind: (id: string | string[], config?: theirs.MLCEngineConfig, options?: Options, keepAliveMs?: number) => Promise<Flat & Groups> = ours.CreateServiceWorkerMLCEngine;

export const config: theirs.AppConfig = ours.prebuiltAppConfig;
export const functions = {
  hasModelInCache: ours.hasModelInCache satisfies typeof theirs.hasModelInCache,
  deleteModelInCache: ours.deleteModelInCache satisfies typeof theirs.deleteModelInCache,
  deleteModelAllInfoInCache: ours.deleteModelAllInfoInCache satisfies typeof theirs.deleteModelAllInfoInCache,
  verifyIntegrity: ours.verifyIntegrity satisfies typeof theirs.verifyIntegrity,
  isValidSRI: ours.isValidSRI satisfies typeof theirs.isValidSRI,
  checkCompletion: ours.postInitAndCheckFieldsCompletion satisfies typeof theirs.postInitAndCheckFieldsCompletion,
  checkEmbedding: ours.postInitAndCheckFieldsEmbedding satisfies typeof theirs.postInitAndCheckFieldsEmbedding,
};
export const names: string[] = [ours.modelVersion, ours.modelLibURLPrefix, ...ours.functionCallingModelIds, `${ours.ModelType.LLM}`];
export const error: theirs.IntegrityError = new ours.IntegrityError("url", "expected", "actual");

// Requests and answers under either name.
declare const request: theirs.ChatCompletionRequestStreaming;
declare const theirMessage: theirs.ChatCompletionMessageParam;
export const messages: ours.ChatCompletionMessageParam[] = [theirMessage];
export async function talk(engine: ours.MLCEngineInterface): Promise<theirs.CompletionUsage | undefined> {
  const chunks: AsyncIterable<theirs.ChatCompletionChunk> = await engine.chat.completions.create(request);
  let usage: theirs.CompletionUsage | undefined;
  for await (const chunk of chunks) usage = chunk.usage;
  const reply: theirs.ChatCompletion = await engine.chatCompletion({ messages, n: 2, response_format: { type: "json_object" } });
  const text: theirs.Completion = await engine.completion({ prompt: "x" });
  const vectors: theirs.CreateEmbeddingResponse = await engine.embeddings.create({ input: "x" });
  const report: theirs.InitProgressCallback | undefined = engine.getInitProgressCallback();
  report?.({ progress: vectors.data.length + text.choices.length + reply.choices.length, timeElapsed: 0, text: "" });
  return usage;
}

// What WebLLM's users name without using it.
export type Named = [
  ours.AppConfig, ours.CacheBackend, ours.OPFSAccessMode, ours.ChatOptions, ours.MLCEngineConfig, ours.GenerationConfig, ours.InitProgressReport,
  ours.LogitProcessor, ours.LogLevel, ours.ResumableGenerationConfig, ours.ResumeChatCompletionOptions, ours.ResumeProbeResult, ours.ResumeResult,
  ours.ModelIntegrity, ours.SRIString, ours.FileIntegrityMap, ours.ModelPackageManifest, ours.CompiledProgramArtifact, ours.WorkerRequest,
  ours.WorkerResponse, ours.CustomRequestParams, ours.ResponseFormat, ours.CompletionUsage, ours.ChatCompletionFinishReason, ours.ModelRecord,
  ours.ChatCompletionContentPart, ours.ChatCompletionTool, ours.ChatCompletionToolChoiceOption, ours.FunctionDefinition, ours.TopLogprob,
  ours.ChatCompletionTokenLogprob, ours.ChatCompletionMessageToolCall, ours.CompletionChoice, ours.EmbeddingCreateParams, ours.Embedding,
];
