/** `engine.chat.completions.create(...)` and its sisters, for any engine that has the flat calls. */

import type * as api from "./openai.js";
import type { MLCEngineInterface } from "./types.js";

class ChatCompletions {
  constructor(private readonly engine: MLCEngineInterface) {}

  create(request: api.ChatCompletionRequestNonStreaming): Promise<api.ChatCompletion>;
  create(request: api.ChatCompletionRequestStreaming): Promise<AsyncIterable<api.ChatCompletionChunk>>;
  create(request: api.ChatCompletionRequestBase): Promise<AsyncIterable<api.ChatCompletionChunk> | api.ChatCompletion>;
  create(request: api.ChatCompletionRequestBase): Promise<AsyncIterable<api.ChatCompletionChunk> | api.ChatCompletion> {
    return this.engine.chatCompletion(request);
  }
}

export class Chat {
  readonly completions: ChatCompletions;

  constructor(engine: MLCEngineInterface) {
    this.completions = new ChatCompletions(engine);
  }
}

export class Completions {
  constructor(private readonly engine: MLCEngineInterface) {}

  create(request: api.CompletionCreateParamsNonStreaming): Promise<api.Completion>;
  create(request: api.CompletionCreateParamsStreaming): Promise<AsyncIterable<api.Completion>>;
  create(request: api.CompletionCreateParamsBase): Promise<AsyncIterable<api.Completion> | api.Completion>;
  create(request: api.CompletionCreateParamsBase): Promise<AsyncIterable<api.Completion> | api.Completion> {
    return this.engine.completion(request);
  }
}

export class Embeddings {
  constructor(private readonly engine: MLCEngineInterface) {}

  create(request: api.EmbeddingCreateParams): Promise<api.CreateEmbeddingResponse> {
    return this.engine.embedding(request);
  }
}
