/**
 * What is spoken, written down: which model hears (its name is a setting of the page), loaded beside the model that answers when it is
 * first needed.  Everything stays on this device.
 */

import type { Engine, Progress } from "fanlight";
import { storedAt } from "./choice.js";
import { namedEmbedder } from "./embedder.js";

const KEPT = "fanlight-speech";

/** A name of the hub or an address; empty where there is to be no microphone. */
export const chosenSpeech = (): string => localStorage.getItem(KEPT) ?? "";

export function chooseSpeech(name: string): void {
  localStorage.setItem(KEPT, name);
  dispatchEvent(new Event(CHOSEN));
}

/** Of the window, after `chooseSpeech`. */
export const CHOSEN = "fanlight-speech-chosen";

/** Whether a recording can be made, and the engine could write it down: a server runs no model for us. */
export function canHear(engine: Engine | undefined): boolean {
  const records = typeof MediaRecorder !== "undefined" && (navigator.mediaDevices as MediaDevices | undefined) !== undefined;
  return records && engine !== undefined && typeof engine.load === "function" && chosenSpeech() !== "";
}

const opened = new WeakMap<Engine, Map<string, Promise<string>>>();

/** The text of a recording. Throws what the engine throws, as where the model does not fit. */
export async function writeDown(engine: Engine, sound: Blob, onProgress: (progress: Progress) => void): Promise<string> {
  const model = await openSpeech(engine, chosenSpeech(), onProgress);
  const { text } = await engine.audio.transcriptions.create({ file: sound, model });
  return text;
}

function openSpeech(engine: Engine, name: string, onProgress: (progress: Progress) => void): Promise<string> {
  const ofEngine = opened.get(engine) ?? new Map<string, Promise<string>>();
  opened.set(engine, ofEngine);
  const opening = ofEngine.get(name) ?? load(engine, name, onProgress);
  ofEngine.set(name, opening);
  opening.catch(() => ofEngine.delete(name)); // another time it may fit
  return opening;
}

async function load(engine: Engine, name: string, onProgress: (progress: Progress) => void): Promise<string> {
  const { address } = await namedEmbedder(name);
  const stored = await storedAt(address);
  return engine.load(stored === null ? address : { opfs: stored }, { onProgress });
}
