/** `fanlight/prompt-api`: the web's Prompt API, `LanguageModel`, on Fanlight's engine, with a model of the page's choice. */

export type { Configuration } from "./home.js";
export { install, type InstallOptions } from "./install.js";
export { configure, LanguageModel } from "./language-model.js";
export type * from "./types.js";
