/** `fanlight/webllm`: what `@mlc-ai/web-llm` 0.2.86 exports, on Fanlight's engine.  Its users change one import. */

export { hasModelInCache, deleteChatConfigInCache, deleteModelAllInfoInCache, deleteModelInCache, deleteModelWasmInCache } from "./cache.js";
export { functionCallingModelIds, modelLibURLPrefix, modelVersion, prebuiltAppConfig } from "./catalogue.js";
export { CreateMLCEngine, MLCEngine } from "./engine.js";
export { IntegrityError } from "./errors.js";
export {
  CreateServiceWorkerMLCEngine as CreateExtensionServiceWorkerMLCEngine,
  type ExtensionMLCEngineConfig,
  ServiceWorkerMLCEngine as ExtensionServiceWorkerMLCEngine,
  ServiceWorkerMLCEngineHandler as ExtensionServiceWorkerMLCEngineHandler,
} from "./extension.js";
export { Chat, Completions, Embeddings } from "./groups.js";
export { isValidSRI, verifyIntegrity } from "./integrity.js";
export type { CustomRequestParams, WorkerRequest, WorkerResponse } from "./messages.js";
export type * from "./openai.js";
export {
  ChatCompletionRequestUnsupportedFields,
  postInitAndCheckFieldsChatCompletion,
  postInitAndCheckFieldsCompletion,
  postInitAndCheckFieldsEmbedding,
  rejectCompletionResumable,
} from "./requests.js";
export { CreateServiceWorkerMLCEngine, ServiceWorkerMLCEngine, ServiceWorkerMLCEngineHandler } from "./service-worker.js";
export type * from "./types.js";
export { ModelType } from "./types.js";
export { CreateWebWorkerMLCEngine, WebWorkerMLCEngine } from "./worker-engine.js";
export { WebWorkerMLCEngineHandler } from "./worker-handler.js";

/** Of WebLLM's model packages, which nothing here reads. */
export const ARTIFACT_SCHEMA_VERSION = 1;
export const MODEL_PACKAGE_MANIFEST_FILENAME = "mlc-model-manifest.json";
export const TENSOR_CACHE_MANIFEST_FILENAME = "tensor-cache.json";
