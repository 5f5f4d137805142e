/**
 * Boots CPython (Pyodide) with Fanlight's Python sources, from files of this package.  A memory snapshot, made at build time by
 * the same code under Node with all imports done, makes the boot four times as fast; without a usable one the boot is a plain one.
 */

import { loadPyodide, type PyodideAPI, type PyodideConfig } from "pyodide";
import type { Assets } from "./assets.js";
import { SourceError } from "./errors.js";

export const PYTHON_ROOT = "/fanlight"; // in Pyodide's file system; on sys.path

const SMALL = { PYTHONOPTIMIZE: "2", PYTHONNODEBUGRANGES: "1" }; // no docstrings, no columns in tracebacks: a seventh of the snapshot
const GZIP = [0x1f, 0x8b];
const WASM = [0x00, 0x61, 0x73, 0x6d];
const ITS_WASM = "pyodide.asm.wasm";
const STDLIB = "https://fanlight.invalid/python_stdlib.zip"; // never asked for
const BESIDE = "Serve all files of the package, as they are.";

/** Path to text, as scripts/build_web.py packs them. */
export type PythonSources = Readonly<Record<string, string>>;

interface EmscriptenFS {
  mkdirTree(path: string): void;
  writeFile(path: string, text: string): void;
}

export function pythonConfig(sources: PythonSources | Promise<PythonSources>): PyodideConfig {
  return {
    fsInit: async (fs: EmscriptenFS) => {
      for (const [path, text] of Object.entries(await sources)) {
        const full = `${PYTHON_ROOT}/${path}`;
        fs.mkdirTree(full.slice(0, full.lastIndexOf("/")));
        fs.writeFile(full, text);
      }
    },
    env: { PYTHONPATH: PYTHON_ROOT, PYTHONDONTWRITEBYTECODE: "1", ...SMALL, HOME: "/home" },
    stdin: () => null,
  } as PyodideConfig;
}

type CreateModule = NonNullable<PyodideConfig["createPyodideModule"]>;

/**
 * Pyodide's module, its memory as large as a snapshot. Of itself it begins with 30 MiB, heeds no INITIAL_MEMORY (the memory is one of the
 * .wasm's own), and copies a snapshot to its beginning, whether it fits or not.
 */
export function roomyModule(url: string): CreateModule {
  return async (settings) => {
    const { default: create } = (await import(/* @vite-ignore */ /* webpackIgnore: true */ url)) as { default: CreateModule };
    return create({
      ...settings,
      instantiateWasm: (imports, done) =>
        settings.instantiateWasm?.(imports, (instance, module) => {
          const memory = instance.exports["memory"] as WebAssembly.Memory;
          const missing = (settings.INITIAL_MEMORY ?? 0) - memory.buffer.byteLength;
          if (missing > 0) memory.grow(Math.ceil(missing / 65536));
          done(instance, module);
        }),
    });
  };
}

/** What it boots from. */
export type PythonFiles = Pick<Assets, "pyodide" | "wasm" | "stdlib" | "sources" | "snapshot">;

/** Pyodide, ready to import fanlight. All files are under way at once. */
export async function bootPython(files: PythonFiles): Promise<PyodideAPI> {
  const sources = fetchGzipped(files.sources).then((response) => response.json() as Promise<PythonSources>);
  const snapshot = fetchGzipped(files.snapshot).then((response) => response.bytes());
  for (const early of [sources, snapshot]) early.catch(() => undefined); // reported where it is waited for
  const createPyodideModule = roomyModule(files.pyodide);
  import(/* @vite-ignore */ /* webpackIgnore: true */ files.pyodide).catch(() => undefined); // which the module waits for
  const config = {
    ...pythonConfig(sources),
    indexURL: new URL("./", files.pyodide).href,
    stdLibURL: STDLIB,
    lockFileContents: PYODIDE_LOCK,
    createPyodideModule,
  };
  try {
    return restored(await boot({ ...config, _loadSnapshot: snapshot }, files));
  } catch (error) {
    if (error instanceof SourceError && error.where === files.wasm) throw error;
    await sources; // without them, nothing boots
    console.warn("fanlight: the memory snapshot does not load here, booting without:", error);
    return boot(config, files);
  }
}

/**
 * Pyodide fetches its WebAssembly and its library by names of its own, not compressed, and where the first fails says nothing to who waits
 * for it: it gets ours.
 */
async function boot(config: PyodideConfig, { wasm: wasmUrl, stdlib: stdlibUrl }: PythonFiles): Promise<PyodideAPI> {
  const { fetch } = globalThis;
  const failed = new Promise<never>((_, reject) => {
    const wasm = fetchWasm(wasmUrl, reject);
    wasm.catch(reject);
    const stdlib = fetchGzipped(stdlibUrl);
    stdlib.catch(reject);
    const ours = (url: string): Promise<Response> | undefined => (url.endsWith(`/${ITS_WASM}`) ? wasm : url.endsWith(STDLIB) ? stdlib : undefined);
    globalThis.fetch = (input, init) => ours(String(input)) ?? fetch(input, init);
  });
  try {
    return await Promise.race([loadPyodide(config), failed]);
  } finally {
    globalThis.fetch = fetch;
  }
}

/** `fail` is told what goes wrong while it is read. */
async function fetchWasm(url: string, fail: (error: SourceError) => void): Promise<Response> {
  const response = await fetchGzipped(url);
  const [start, body] = (response.body as ReadableStream<Uint8Array>).tee();
  const first = await firstBytes(start).catch((error: unknown) => error);
  if (!(first instanceof Uint8Array && startsWith(first, WASM))) throw new SourceError("is no WebAssembly", { where: url, hint: BESIDE });
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  body.pipeTo(writable).catch((error: unknown) => fail(new SourceError(`could not be read: ${String(error)}`, { where: url, hint: BESIDE })));
  return new Response(readable, { headers: { "Content-Type": "application/wasm" } });
}

/** A snapshot repeats the random state of the build machine in every page: seed it anew. */
function restored(python: PyodideAPI): PyodideAPI {
  python.runPython("import random; random.seed()");
  return python;
}

/** What is in a gzipped file. Some servers say of such a file that it is encoded, and then the browser has unpacked it already. */
async function fetchGzipped(url: string): Promise<Response> {
  const response = await fetch(url).catch((error: unknown) => {
    throw new SourceError(`could not be fetched: ${String(error)}`, { where: url, hint: BESIDE });
  });
  if (!response.ok || !response.body) throw new SourceError(`HTTP ${response.status}`, { where: url, hint: BESIDE });
  const [start, body] = response.body.tee();
  const isGzipped = startsWith(await firstBytes(start), GZIP);
  return new Response(isGzipped ? body.pipeThrough(new DecompressionStream("gzip")) : body);
}

/** The first piece of a body, whose rest is not read. */
async function firstBytes(body: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const reader = body.getReader();
  const { value } = await reader.read();
  reader.cancel().catch(() => undefined);
  return value ?? new Uint8Array(0);
}

function startsWith(bytes: Uint8Array, mark: readonly number[]): boolean {
  return mark.every((byte, i) => bytes[i] === byte);
}
