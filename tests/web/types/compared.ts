// Our types and those of the `openai` package: a program that has one may use it where the other is asked for.
import OpenAI from "openai";
import type * as Theirs from "openai/resources/responses/responses";
import type * as Ours from "fanlight";
import { load } from "fanlight";

declare function is<Wanted>(given: Wanted): void;
declare function some<T>(): T;

// --- what they have, where ours is asked for
const engine = await load("built-in");
new OpenAI({ fetch: engine.fetch, apiKey: "-", dangerouslyAllowBrowser: true });
is<Ours.ChatCompletionMessageParam[]>(some<OpenAI.ChatCompletionMessageParam[]>());
is<Ours.ChatCompletionTool[]>(some<OpenAI.ChatCompletionTool[]>());
is<Ours.ChatCompletionToolChoiceOption>(some<OpenAI.ChatCompletionToolChoiceOption>());
is<Ours.ReasoningEffort>(some<OpenAI.ReasoningEffort>());
is<Ours.ChatCompletionCreateParamsNonStreaming>(some<OpenAI.ChatCompletionCreateParamsNonStreaming>());
is<Ours.ChatCompletionCreateParamsStreaming>(some<OpenAI.ChatCompletionCreateParamsStreaming>());
is<Ours.EmbeddingCreateParams>(some<OpenAI.EmbeddingCreateParams>());
is<Ours.CompletionCreateParamsNonStreaming>({ ...some<OpenAI.CompletionCreateParamsNonStreaming>(), prompt: "Once" });
is<Ours.ResponseInputItem>(some<Theirs.ResponseFunctionToolCall>());
is<Ours.FunctionTool>(some<Theirs.FunctionTool>());
is<Ours.ResponseFormatTextConfig>(some<Theirs.ResponseFormatTextConfig>());

const wrapped = (body: OpenAI.ChatCompletionCreateParams) => engine.chat.completions.create(body);
const either: AsyncIterable<OpenAI.ChatCompletionChunk> | OpenAI.ChatCompletion = await wrapped({ model: "", messages: [] });

// --- what ours gives, where theirs is asked for
is<OpenAI.ChatCompletionMessageParam[]>(some<Ours.ChatCompletionMessageParam[]>());
is<OpenAI.ChatCompletionTool[]>(some<Ours.ChatCompletionTool[]>());
is<OpenAI.ChatCompletionToolChoiceOption>(some<Ours.ChatCompletionToolChoiceOption>());
is<OpenAI.ChatCompletion>(some<Ours.ChatCompletion>());
is<OpenAI.ChatCompletionChunk>(some<Ours.ChatCompletionChunk>());
is<OpenAI.ChatCompletionMessage>(some<Ours.ChatCompletionMessage>());
is<OpenAI.CompletionUsage>(some<Ours.CompletionUsage>());
is<OpenAI.CreateEmbeddingResponse>(some<Ours.CreateEmbeddingResponse>());
is<OpenAI.Model>(some<Ours.Model>());
is<Theirs.ResponseOutputItem>(some<Ours.ResponseOutputItem>());
is<Theirs.ResponseInputItem>(some<Ours.ResponseInputItem>());
is<Theirs.ResponseUsage>(some<Ours.ResponseUsage>());
is<Theirs.ResponseCreateParamsStreaming>(some<Ours.ResponseCreateParamsStreaming & { service_tier: null }>());
// Of OpenAI's own: what its client puts together, programs of its platform, and no null while there is no usage.
is<Omit<Theirs.Response, "output_text" | "access_programs" | "usage">>(some<Ours.Response>());
is<Exclude<Theirs.ResponseStreamEvent, { response: unknown }>>(some<Exclude<Ours.ResponseStreamEvent, { response: unknown }>>());
// A score that is null, of the first token, is a number for them.
is<Omit<OpenAI.Completion, "choices">>(some<Ours.Completion>());
is<Omit<OpenAI.CompletionChoice, "logprobs">>(some<Ours.CompletionChoice>());

// @ts-expect-error an image's part is no tool: the checks above can fail
is<Ours.ChatCompletionTool>(some<OpenAI.ChatCompletionContentPartImage>());

export { either };
