/** Sound for a model that hears: any file that the browser plays becomes a WAV of one channel at 16 kHz, which is what the engine reads. */

import { RequestError } from "./errors.js";

export const RATE = 16000;

/** A recording, a file, or its bytes. */
export type SoundInput = Blob | ArrayBuffer | Uint8Array;

/** As base64, for a request's JSON. A WAV at 16 kHz stays as it is. */
export async function soundText(sound: SoundInput): Promise<string> {
  const bytes = await bytesOf(sound);
  if (bytes.length === 0) throw new RequestError("the sound is empty", { param: "file" });
  return base64(isReady(bytes) ? bytes : wavOf(await samplesOf(bytes)));
}

async function bytesOf(sound: SoundInput): Promise<Uint8Array<ArrayBuffer>> {
  if (sound instanceof Blob) return new Uint8Array(await sound.arrayBuffer());
  if (sound instanceof Uint8Array) return new Uint8Array(sound);
  if (sound instanceof ArrayBuffer) return new Uint8Array(sound);
  throw new RequestError("file must be a File, a Blob, an ArrayBuffer or a Uint8Array", { param: "file" });
}

/** Whether it is a WAV at 16 kHz, by the usual place of its rate. */
function isReady(bytes: Uint8Array<ArrayBuffer>): boolean {
  const head = new DataView(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 28));
  const isWord = (at: number, word: string) => [...word].every((letter, i) => head.getUint8(at + i) === letter.charCodeAt(0));
  return bytes.length > 44 && isWord(0, "RIFF") && isWord(8, "WAVEfmt ") && head.getUint32(24, true) === RATE;
}

/** One channel at 16 kHz: the browser decodes and resamples. */
async function samplesOf(bytes: Uint8Array<ArrayBuffer>): Promise<Float32Array> {
  if (typeof OfflineAudioContext === "undefined") {
    throw new RequestError("the sound is no WAV at 16 kHz, and only a page can decode others", { param: "file" });
  }
  let decoded: AudioBuffer;
  try {
    decoded = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes.slice().buffer);
  } catch {
    throw new RequestError("the sound is of no kind that this browser plays", { param: "file" });
  }
  const mixed = new Float32Array(decoded.length);
  for (let channel = 0; channel < decoded.numberOfChannels; channel++) {
    decoded.getChannelData(channel).forEach((value, i) => (mixed[i]! += value / decoded.numberOfChannels));
  }
  return mixed;
}

/** 16 bits a sample. */
export function wavOf(samples: Float32Array): Uint8Array {
  const bytes = new Uint8Array(44 + 2 * samples.length);
  const view = new DataView(bytes.buffer);
  const word = (at: number, text: string) => [...text].forEach((letter, i) => (bytes[at + i] = letter.charCodeAt(0)));
  word(0, "RIFF");
  view.setUint32(4, bytes.length - 8, true);
  word(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, RATE, true);
  view.setUint32(28, 2 * RATE, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  word(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((value, i) => view.setInt16(44 + 2 * i, Math.max(-32768, Math.min(32767, Math.round(value * 32768))), true));
  return bytes;
}

// --- sounds in messages ------------------------------------------------------------------------------------------------
const FETCH_MS = 20_000;

/** Whether a request's JSON may hold sounds. */
export function mayHaveSounds(body: string): boolean {
  return /"(input_audio|audio_url)"/.test(body);
}

/** The same with every sound in its messages as the engine reads them. What is no sound stays: the engine says what is wrong. */
export async function withSounds(body: string, signal?: AbortSignal): Promise<string> {
  let request: unknown;
  try {
    request = JSON.parse(body);
  } catch {
    return body;
  }
  for (const messages of [fieldOf(request, "messages"), fieldOf(request, "input")].filter(Array.isArray)) {
    const contents = messages.map((message) => fieldOf(message, "content")).filter(Array.isArray);
    for (const part of contents.flat()) await readPart(part, signal);
  }
  return JSON.stringify(request);
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

async function readPart(part: unknown, signal?: AbortSignal): Promise<void> {
  const type = fieldOf(part, "type");
  const given = fieldOf(part, String(type));
  if (type === "input_audio") {
    const bytes = bytesOfBase64(fieldOf(given, "data"));
    if (bytes) Object.assign(given as object, { data: await messageSound(bytes), format: "wav" });
  } else if (type === "audio_url") {
    const url = typeof given === "string" ? given : fieldOf(given, "url");
    const bytes = typeof url === "string" ? await bytesOfUrl(url, signal) : null;
    if (bytes) Object.assign(part as object, { audio_url: { url: `data:audio/wav;base64,${await messageSound(bytes)}` } });
  }
}

async function messageSound(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  try {
    return await soundText(bytes);
  } catch (error) {
    throw error instanceof RequestError ? new RequestError(error.message, { param: "messages" }) : error;
  }
}

/** null: the engine says what is wrong. */
async function bytesOfUrl(url: string, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer> | null> {
  const data = /^data:[^,]*;base64,(.*)$/is.exec(url)?.[1];
  if (data !== undefined) return bytesOfBase64(data);
  if (!/^https?:/i.test(url)) return null;
  const limit = AbortSignal.timeout(FETCH_MS);
  try {
    const answer = await fetch(url, { signal: signal ? AbortSignal.any([signal, limit]) : limit, credentials: "omit" });
    if (!answer.ok) throw new Error(`it answers ${answer.status}`);
    return new Uint8Array(await answer.arrayBuffer());
  } catch (error) {
    signal?.throwIfAborted();
    throw new RequestError(`the sound at ${url.slice(0, 200)} cannot be fetched: ${(error as Error).message}`, { param: "messages" });
  }
}

function bytesOfBase64(text: unknown): Uint8Array<ArrayBuffer> | null {
  if (typeof text !== "string" || text === "") return null;
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return null;
  }
}

function base64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 1 << 15) text += String.fromCharCode(...bytes.subarray(at, at + (1 << 15)));
  return btoa(text);
}

/** A form's fields as the engine's JSON has them. */
export async function formBody(form: FormData): Promise<string> {
  const body: Record<string, unknown> = {};
  for (const name of new Set(form.keys())) {
    const values = await Promise.all(form.getAll(name).map((value) => (typeof value === "string" ? value : soundText(value))));
    const isList = name.endsWith("[]");
    if (!isList && values.length > 1) throw new RequestError(`the form has ${name} twice`, { param: name });
    body[isList ? name.slice(0, -2) : name] = isList ? values : values[0];
  }
  return JSON.stringify(body);
}
