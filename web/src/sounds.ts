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
