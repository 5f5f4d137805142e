/** Fanlight: large language models inside a web page.  What the package gives, named once. */

export { type Capability, catalogue, type CatalogueModel, fetchCatalogue, footprint, isPooled, modelOf } from "./catalogue.js";
export { checkWebGPU } from "./check.js";
export { type Engine, load, type LoadOptions, type ModelInput, type ModelOptions } from "./client.js";
export * from "./errors.js";
export type { Footprint, ModelNumbers } from "./footprint.js";
export { chooseFiles, type HubFile, type HubId, type HubListing, type HubModel, type HubOptions, hubName, listFiles, parseHubId, searchModels, type SearchOptions } from "./hub.js";
export type * from "./openai.js";
export type { LogitProcessor } from "./logits.js";
export type { Progress } from "./protocol.js";
export type * from "./responses.js";
export { shareEngine } from "./share.js";
export { deleteState, listStates, type StoredState } from "./states.js";
export { deleteModel, listModels, type StoredModel } from "./storage.js";
export type { SoundInput } from "./sounds.js";
export type { Audio, ChatCompletions, Completions, Embeddings, EngineInfo, MemoryPlan, RequestOptions, Reranking, RerankParams, Responses, RestoreOptions, ScoreParams, Scores, StateParams, Transcriptions } from "./types.js";
