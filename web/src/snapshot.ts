/**
 * Python's memory snapshot, unpacked, in the store: a later boot reads it in a tenth of the time that unpacking takes.  One version at a
 * time, in a file python-VERSION-SIZE.bin, so that one half written is noticed.  python.ts boots from it.
 */

import { held, openToWrite } from "./opfs.js";
import { findFile, openStore, remove, type Store } from "./storage.js";

const PREFIX = "python-";

/** Null where none of this version is kept. */
export async function readSnapshot(version: string): Promise<Uint8Array<ArrayBuffer> | null> {
  const store = await openStore();
  const file = store && (await find(store, version));
  return file && new Uint8Array(await file.arrayBuffer());
}

/** In a worker only, and best in one that nobody waits for. packed: where the snapshot is, gzipped. */
export async function keepSnapshot(packed: string, version: string): Promise<void> {
  const store = await openStore();
  if (!store || (await find(store, version))) return;
  for (const name of await names(store)) await remove(store, name);
  const bytes = await (await fetch(packed)).bytes();
  const size = new DataView(bytes.buffer).getUint32(bytes.length - 4, true); // as gzip ends: https://www.rfc-editor.org/rfc/rfc1952
  const handle = await openToWrite(store, `${PREFIX}${version}-${size}.bin`);
  try {
    const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")).getReader();
    let at = 0;
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) at += handle.write(piece.value, { at });
  } finally {
    handle.close();
  }
}

async function find(store: Store, version: string): Promise<File | null> {
  const name = (await names(store)).find((name) => name.startsWith(`${PREFIX}${version}-`));
  const file = name === undefined ? null : await findFile(store, name);
  return file && name?.endsWith(`-${file.size}.bin`) ? file : null;
}

async function names(store: Store): Promise<string[]> {
  const found: string[] = [];
  await held(store, async () => {
    for await (const name of store.keys()) if (name.startsWith(PREFIX)) found.push(name);
  });
  return found;
}
