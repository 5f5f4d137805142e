/** What can be loaded, and how it is called on the page. */

import { type Engine, hubName, type HubOptions, listModels, type ModelInput, parseHubId } from "fanlight";
import * as strings from "./strings.js";

export interface Choice {
  readonly model: ModelInput;
  readonly name: string;
  readonly isBuiltIn: boolean;
  /** Where the page's server runs it: then nothing is loaded here. */
  readonly served?: () => Engine;
  /** Of a model of the hub: its address and a token, where they are needed. */
  readonly access?: Pick<HubOptions, "hub" | "token">;
}

export const builtIn: Choice = { model: "built-in", name: strings.loading.builtIn, isBuiltIn: true };

export function fileChoice(files: readonly File[]): Choice {
  return { model: files.length === 1 && files[0] ? files[0] : files, name: files[0]?.name ?? "", isBuiltIn: false };
}

/** An address as people write it: `https://` may be missing, and a path is one of this server. */
export function urlChoice(text: string): Choice {
  const isWhole = /^(https?:\/\/|\.{0,2}\/)/i.test(text);
  const url = isWhole ? text : `https://${text}`;
  return { model: url, name: lastPart(url), isBuiltIn: false };
}

export function storedChoice(url: string, name: string): Choice {
  return { model: { opfs: url }, name, isBuiltIn: isBuiltInUrl(url) };
}

/** Under which address it is stored here, whole: of an address, or of a name of the hub; null where it is not. */
export async function storedAt(address: string): Promise<string | null> {
  const id = parseHubId(address);
  const kept = id ? hubName(id) : new URL(address, location.href).href;
  return (await listModels()).find(({ url, complete }) => complete && url === kept)?.url ?? null;
}

export function isBuiltInUrl(url: string): boolean {
  return /\/fanlight\/built-in\.gguf(\?|$)/.test(url);
}

export function lastPart(url: string): string {
  const parts = url.replace(/[?#].*$/, "").split("/").filter(Boolean);
  return parts.at(-1) ?? url;
}
