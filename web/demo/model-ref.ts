/** The model that a conversation was had with: remembered by name and address, and found again. */

import type { Engine } from "fanlight";
import { builtIn, type Choice, storedAt, storedChoice } from "./choice.js";
import type { ModelRef } from "./conversation.js";
import type { Loaded } from "./runs.js";
import { OF_BUILT_IN } from "./sampling.js";
import { listServed } from "./served.js";
import * as strings from "./strings.js";

const SERVED = "served:";

export function loadedOf(engine: Engine, choice: Choice): Loaded {
  const name = choice.isBuiltIn ? strings.stored.builtIn : engine.info.model;
  const own = choice.isBuiltIn ? OF_BUILT_IN : {};
  const facts = { isBuiltIn: choice.isBuiltIn, isServed: choice.served !== undefined, own, defaults: { ...engine.info.sampling, ...own } };
  return { engine, name, ref: { name, address: addressOf(choice) }, ...facts };
}

function addressOf({ model, name, served, isBuiltIn }: Choice): string | null {
  if (served) return SERVED + name;
  if (isBuiltIn) return "built-in";
  if (typeof model === "string") return model;
  if (model instanceof URL) return model.href;
  return "opfs" in model ? model.opfs : null;
}

export interface Found {
  readonly choice: Choice;
  /** Whether it can be had without a download. */
  readonly isHere: boolean;
}

/** Null where it was a file, or is served no longer: only a person can bring it again. */
export async function findModel({ name, address }: ModelRef): Promise<Found | null> {
  if (address === null) return null;
  if (address === "built-in") return { choice: builtIn, isHere: true };
  if (address.startsWith(SERVED)) {
    const choice = (await listServed()).choices.find((served) => SERVED + served.name === address);
    return choice ? { choice, isHere: true } : null;
  }
  const stored = await storedAt(address);
  return stored ? { choice: storedChoice(stored, name), isHere: true } : { choice: { model: address, name, isBuiltIn: false }, isHere: false };
}
