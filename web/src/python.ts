/**
 * Boots CPython (Pyodide) with Fanlight's Python sources, from files that lie beside this one.  A memory snapshot, made at build time by
 * the same code under Node with all imports done, makes the boot four times as fast; without a usable one the boot is a plain one.
 */

import type { PyodideAPI, PyodideConfig } from "pyodide";
import { SourceError } from "./errors.js";

export const PYTHON_ROOT = "/fanlight"; // in Pyodide's file system; on sys.path

const GZIP = [0x1f, 0x8b];
const WASM = [0x00, 0x61, 0x73, 0x6d];
const PATIENCE_MS = 15_000; // a healthy boot takes a tenth of it; more is a slow connection, or never
const BESIDE = "Serve all files of the package beside index.js, as they are.";

/** Path to text, as scripts/build_web.py packs them. */
export type PythonSources = Readonly<Record<string, string>>;

interface EmscriptenFS {
  mkdirTree(path: string): void;
  writeFile(path: string, text: string): void;
}

type LoadPyodide = (config: PyodideConfig) => Promise<PyodideAPI>;

export function pythonConfig(sources: PythonSources | Promise<PythonSources>): PyodideConfig {
  return {
    fsInit: async (fs: EmscriptenFS) => {
      for (const [path, text] of Object.entries(await sources)) {
        const full = `${PYTHON_ROOT}/${path}`;
        fs.mkdirTree(full.slice(0, full.lastIndexOf("/")));
        fs.writeFile(full, text);
      }
    },
    env: { PYTHONPATH: PYTHON_ROOT, PYTHONDONTWRITEBYTECODE: "1", HOME: "/home" },
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
    const { default: create } = (await import(/* @vite-ignore */ url)) as { default: CreateModule };
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

/** Pyodide, ready to import fanlight. `assets` is the folder of this package's files, ending in a slash. All of them are under way at once. */
export async function bootPython(assets: URL, version: string): Promise<PyodideAPI> {
  const at = (name: string): string => new URL(name, assets).href;
  import(/* @vite-ignore */ at("pyodide.asm.mjs")).catch(() => undefined); // which Pyodide imports once it is there itself
  const sources = fetchGzipped(`${at("python-sources.json.gz")}?v=${version}`).then(
    (bytes) => JSON.parse(new TextDecoder().decode(bytes)) as PythonSources,
  );
  const snapshot = fetchGzipped(`${at("snapshot.bin.gz")}?v=${version}`);
  for (const early of [sources, snapshot]) early.catch(() => undefined); // reported where it is waited for
  const { loadPyodide } = (await import(/* @vite-ignore */ at("pyodide.mjs"))) as { loadPyodide: LoadPyodide };
  const createPyodideModule = roomyModule(at("pyodide.asm.mjs"));
  const config = { ...pythonConfig(sources), indexURL: assets.href, lockFileContents: PYODIDE_LOCK, createPyodideModule };
  const wasm = at("pyodide.asm.wasm");
  try {
    return restored(await unlessBroken(wasm, loadPyodide({ ...config, _loadSnapshot: snapshot })));
  } catch (error) {
    if (error instanceof SourceError && error.where.endsWith(".wasm")) throw error;
    await sources; // without them, nothing boots
    console.warn("fanlight: the memory snapshot does not load here, booting without:", error);
    return unlessBroken(wasm, loadPyodide(config));
  }
}

/** The boot. Where it takes long, it is seen whether there is WebAssembly at all: without it, Pyodide says nothing to who waits for it. */
async function unlessBroken(wasm: string, boot: Promise<PyodideAPI>): Promise<PyodideAPI> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const broken = new Promise<never>((_, reject) => {
    timer = setTimeout(() => checkWasm(wasm).catch(reject), PATIENCE_MS);
  });
  return Promise.race([boot, broken]).finally(() => clearTimeout(timer));
}

async function checkWasm(url: string): Promise<void> {
  const response = await fetch(url);
  const start = response.ok && response.body ? await firstBytes(response.body) : new Uint8Array(0);
  if (!startsWith(start, WASM)) throw new SourceError(`is no WebAssembly (HTTP ${response.status})`, { where: url, hint: BESIDE });
}

/** A snapshot repeats the random state of the build machine in every page: seed it anew. */
function restored(python: PyodideAPI): PyodideAPI {
  python.runPython("import random; random.seed()");
  return python;
}

/** What is in a gzipped file. Some servers say of such a file that it is encoded, and then the browser has unpacked it already. */
async function fetchGzipped(url: string): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url);
  if (!response.ok || !response.body) throw new SourceError(`HTTP ${response.status}`, { where: url, hint: BESIDE });
  const [start, body] = response.body.tee();
  const isGzipped = startsWith(await firstBytes(start), GZIP);
  return new Response(isGzipped ? body.pipeThrough(new DecompressionStream("gzip")) : body).bytes();
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
