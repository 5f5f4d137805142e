/** `checkWebGPU`, whose declaration needs no types of WebGPU: those of TypeScript before 6 do not have them. */

import { NoAdapter } from "./errors.js";
import { requestAdapter } from "./gpu.js";

/** Why WebGPU cannot be used here, in words for the person at the screen; null when it can. */
export async function checkWebGPU(): Promise<string | null> {
  try {
    await requestAdapter();
    return null;
  } catch (error) {
    if (error instanceof NoAdapter) return `${error.message} ${error.hint}`;
    throw error;
  }
}
