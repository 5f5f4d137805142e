/** Reads files of pictures for Python: what fanlight.runtime.browser.JsReader asks, in the thread that Python is in. */

import { openPicture, type Pixels, type Plan, tilesOf } from "./pictures.js";

const MAX_BYTES = 32 << 20; // as in fanlight/api/pictures.py
const FETCH_MS = 20_000;

export const reader = {
  /** What the page itself may fetch. */
  async fetch(url: string): Promise<Uint8Array> {
    const answer = await fetch(url, { signal: AbortSignal.timeout(FETCH_MS), credentials: "omit" });
    if (!answer.ok) throw new Error(`${url.slice(0, 200)} answers ${answer.status}`);
    const blob = await answer.blob();
    if (blob.size > MAX_BYTES) throw new Error(`${url.slice(0, 200)} has ${blob.size} bytes`);
    return new Uint8Array(await blob.arrayBuffer());
  },
  open: (data: Uint8Array<ArrayBuffer>): Promise<Pixels> => openPicture(new Blob([data])),
  tiles: async (picture: Pixels, plan: string): Promise<Uint8Array> => tilesOf(picture, JSON.parse(plan) as Plan),
};
