/**
 * What a file's bytes are checked by.  A whole file has the digest that somebody else knows of it (the hub, a signature); its blocks have
 * digests of our own, made as they come, by which a download that goes on later knows that what is here already is unharmed.
 *
 * A digest is written as "sha256:" or "git:" and hexadecimal digits; git's is over a header and the bytes.
 */

import { createSHA1, createSHA256, type IHasher } from "hash-wasm";
import { SourceError } from "./errors.js";

export const BLOCK_BYTES = 4 << 20; // as long as what is asked for at once
const DIGEST_BYTES = 32;
const AT_ONCE = 4; // blocks that are checked together

type Bytes = Uint8Array<ArrayBuffer>;

/** Of a file of `size` bytes that come one after the other. */
export async function openHasher(digest: string, size: number): Promise<IHasher> {
  const [kind, hex = ""] = digest.split(":");
  const hasher = await (hex.length === 40 ? createSHA1() : createSHA256());
  hasher.init();
  return kind === "git" ? hasher.update(`blob ${size}\0`) : hasher;
}

/** Throws where the bytes that were hashed are others than `digest` says. */
export function checkDigest(hasher: IHasher, digest: string, url: string): void {
  const [kind, expected] = digest.split(":");
  const got = hasher.digest("hex");
  if (got === expected) return;
  throw new SourceError(`the file is not the one that was expected: its ${kind === "git" ? "git id" : "SHA-256"} is ${got}, expected ${expected}`, {
    where: url,
    hint: "What had come was deleted. Load again; if this repeats, the server gives another file than the one that was published.",
  });
}

/** Of a file that is there. */
export async function checkBlob(blob: Blob, digest: string, url: string): Promise<void> {
  const hasher = await openHasher(digest, blob.size);
  for (let at = 0; at < blob.size; at += BLOCK_BYTES) hasher.update(new Uint8Array(await blob.slice(at, at + BLOCK_BYTES).arrayBuffer()));
  checkDigest(hasher, digest, url);
}

export async function sha256(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** Where digests of blocks are kept; of a FileSystemSyncAccessHandle. */
type Kept = Pick<FileSystemSyncAccessHandle, "getSize" | "read" | "write" | "truncate" | "flush" | "close">;

/**
 * A block's digest with the state of the whole file's after it, one after the other in a file. `kept`: null where the bytes are not kept
 * either. `hasher`: null where nobody knows the whole file's digest.
 */
export class BlockDigests {
  readonly #entryBytes: number;
  #written: Promise<void> = Promise.resolve();

  constructor(
    readonly kept: Kept | null,
    readonly hasher: IHasher | null,
  ) {
    this.#entryBytes = DIGEST_BYTES + (hasher?.save().length ?? 0);
  }

  /** The bytes of the block after the last. What is recorded of it is written a little later: see `settled`. */
  add(index: number, block: Bytes): void {
    this.hasher?.update(block);
    if (!this.kept) return;
    const entry = new Uint8Array(this.#entryBytes);
    if (this.hasher) entry.set(this.hasher.save(), DIGEST_BYTES);
    const digest = sha256(block);
    this.#written = this.#written.then(async () => {
      entry.set(await digest);
      this.kept?.write(entry, { at: index * this.#entryBytes });
    });
    this.#written.catch(() => undefined); // reported by `settled`
  }

  settled(): Promise<void> {
    return this.#written;
  }

  /**
   * Goes through the blocks that are recorded of the `size` bytes that are here, and ends before the first that is not what it was;
   * `onGood` learns how many bytes are good. From there on the record is empty.
   */
  async resume(size: number, total: number, read: (at: number, size: number) => Bytes, onGood: (end: number) => void): Promise<void> {
    if (!this.kept) return;
    const recorded = Math.floor(this.kept.getSize() / this.#entryBytes);
    const ends = Array.from({ length: recorded }, (_, i) => Math.min((i + 1) * BLOCK_BYTES, total)).filter((end, i) => end <= size && end > i * BLOCK_BYTES);
    let good = 0;
    for (let isGood = true; isGood && good < ends.length; ) {
      const next = ends.slice(good, good + AT_ONCE).map((end, i) => this.#isGood(good + i, read((good + i) * BLOCK_BYTES, end - (good + i) * BLOCK_BYTES)));
      for (const one of await Promise.all(next)) {
        isGood &&= one;
        if (isGood) good++;
      }
      if (good) onGood(ends[good - 1] as number);
    }
    if (good) this.#restore(good, ends, read);
    this.kept.truncate(good * this.#entryBytes);
  }

  async #isGood(index: number, block: Bytes): Promise<boolean> {
    const [digest, recorded] = [await sha256(block), this.#entry(index)];
    return digest.every((byte, i) => byte === recorded[i]);
  }

  #entry(index: number): Bytes {
    const entry = new Uint8Array(this.#entryBytes);
    this.kept?.read(entry, { at: index * this.#entryBytes });
    return entry;
  }

  #restore(good: number, ends: readonly number[], read: (at: number, size: number) => Bytes): void {
    try {
      this.hasher?.load(this.#entry(good - 1).slice(DIGEST_BYTES));
    } catch {
      // Another version's: the blocks once more.
      for (let i = 0; i < good; i++) this.hasher?.update(read(i * BLOCK_BYTES, (ends[i] as number) - i * BLOCK_BYTES));
    }
  }

  clear(): void {
    this.kept?.truncate(0);
  }
}
