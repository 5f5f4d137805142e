/** Fanlight: large language models inside a web page.  What the package gives, named once. */

export { type Engine, load, type LoadOptions, type ModelInput, type ModelOptions } from "./client.js";
export * from "./errors.js";
export { checkWebGPU } from "./gpu.js";
export { chooseFiles, type HubFile, type HubId, type HubListing, type HubModel, type HubOptions, listFiles, parseHubId, searchModels, type SearchOptions } from "./hub.js";
export type { Progress } from "./protocol.js";
export { deleteState, listStates, type StoredState } from "./states.js";
export { deleteModel, listModels, type StoredModel } from "./storage.js";
export type { ChatCompletions, Completions, Embeddings, EngineInfo, ExtraParams, MemoryPlan, ModelList, RequestOptions, Reranking, RerankParams, Responses, RestoreOptions, ScoreParams, Scores, StateParams } from "./types.js";
