/** Subresource Integrity of a model's small files: `sha256-...`, `sha384-...` or `sha512-...`, in base64. */

import { IntegrityError } from "./errors.js";
import { log } from "./logger.js";
import type { SRIString } from "./types.js";

const HASHES: Readonly<Record<string, { readonly name: string; readonly bytes: number }>> = {
  sha256: { name: "SHA-256", bytes: 32 },
  sha384: { name: "SHA-384", bytes: 48 },
  sha512: { name: "SHA-512", bytes: 64 },
};

interface Parsed {
  readonly kind: string;
  readonly digest: Uint8Array;
}

export function isValidSRI(sri: string): boolean {
  return parse(sri) !== null;
}

/** Raises IntegrityError where the data have another hash; with "warn" only says so. */
export async function verifyIntegrity(
  data: ArrayBuffer,
  expectedSRI: SRIString,
  url: string,
  onFailure: "error" | "warn" = "error",
): Promise<void> {
  const expected = parse(expectedSRI);
  if (!expected) throw new Error(`Invalid SRI hash format: "${expectedSRI}". Expected "sha256-", "sha384-" or "sha512-" and base64.`);
  const found = new Uint8Array(await crypto.subtle.digest((HASHES[expected.kind] as { name: string }).name, data));
  if (found.every((byte, i) => byte === expected.digest[i])) return;
  const actual = `${expected.kind}-${btoa(String.fromCharCode(...found))}`;
  if (onFailure !== "warn") throw new IntegrityError(url, expectedSRI, actual);
  log.warn(`Integrity check failed for ${url}. Expected: ${expectedSRI}, Got: ${actual}`);
}

function parse(sri: string): Parsed | null {
  const [, kind = "", base64 = ""] = /^(sha256|sha384|sha512)-([A-Za-z0-9+/]+={0,2})$/.exec(sri) ?? [];
  const hash = HASHES[kind];
  if (!hash) return null;
  try {
    const digest = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    return digest.length === hash.bytes ? { kind, digest } : null;
  } catch {
    return null;
  }
}
