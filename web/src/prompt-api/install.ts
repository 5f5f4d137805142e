/** `install`: the names under which pages look for the Prompt API. */

import { LanguageModel } from "./language-model.js";
import type { LanguageModelCreateOptions, LanguageModelParams } from "./types.js";
import { dictionary } from "./webidl.js";

export interface InstallOptions {
  /** Also where the browser has its own. */
  readonly replace?: boolean;
  /** Also `ai.languageModel`, as the first drafts had it. */
  readonly legacy?: boolean;
}

type Scope = { LanguageModel?: unknown; ai?: { languageModel?: unknown } };

/** Makes `LanguageModel` a global. False, and nothing done, where the browser has its own and that is not to be replaced. */
export function install({ replace = false, legacy = false }: InstallOptions = {}): boolean {
  const scope = globalThis as Scope;
  const isOurs = replace || scope.LanguageModel === undefined;
  if (isOurs) define(scope, "LanguageModel", LanguageModel);
  if (legacy && (replace || scope.ai?.languageModel === undefined)) {
    if (scope.ai === undefined) define(scope, "ai", {});
    define(scope.ai as object, "languageModel", drafts);
  }
  return isOurs;
}

/** As Web IDL defines an interface: not enumerable. */
function define(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, configurable: true, writable: true, enumerable: false });
}

/** `ai.languageModel`. */
const drafts = {
  /** `systemPrompt` is a first message. */
  async create(options?: LanguageModelCreateOptions & { systemPrompt?: string }): Promise<LanguageModel> {
    const { systemPrompt, initialPrompts = [], ...others } = dictionary(options, "options") as NonNullable<typeof options>;
    const system = systemPrompt === undefined ? [] : [{ role: "system" as const, content: systemPrompt }];
    return LanguageModel.create({ ...others, initialPrompts: [...system, ...initialPrompts] });
  },
  availability: LanguageModel.availability,
  params: LanguageModel.params,
  async capabilities(): Promise<{ available: "readily" | "after-download" | "no" } & Partial<LanguageModelParams>> {
    const found = await LanguageModel.availability();
    return { available: found === "available" ? "readily" : found === "unavailable" ? "no" : "after-download", ...(await LanguageModel.params()) };
  },
};
