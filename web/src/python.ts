/**
 * Boots CPython (Pyodide) with Fanlight's Python sources, from files that lie beside this one.  A memory snapshot, made at build time by
 * the same code under Node with all imports done, makes the boot four times as fast; without a usable one the boot is a plain one.
 */

import type { PyodideAPI, PyodideConfig } from "pyodide";

export const PYTHON_ROOT = "/fanlight"; // in Pyodide's file system; on sys.path

/** Path to text, as scripts/build_web.py packs them. */
export type PythonSources = Readonly<Record<string, string>>;

interface EmscriptenFS {
  mkdirTree(path: string): void;
  writeFile(path: string, text: string): void;
}

type LoadPyodide = (config: PyodideConfig) => Promise<PyodideAPI>;

export function pythonConfig(sources: PythonSources): PyodideConfig {
  return {
    fsInit: async (fs: EmscriptenFS) => {
      for (const [path, text] of Object.entries(sources)) {
        const full = `${PYTHON_ROOT}/${path}`;
        fs.mkdirTree(full.slice(0, full.lastIndexOf("/")));
        fs.writeFile(full, text);
      }
    },
    env: { PYTHONPATH: PYTHON_ROOT, PYTHONDONTWRITEBYTECODE: "1", HOME: "/home" },
    stdin: () => null,
  } as PyodideConfig;
}

/** Pyodide, ready to import fanlight. `assets` is the folder of this package's files, ending in a slash. */
export async function bootPython(assets: URL, version: string): Promise<PyodideAPI> {
  const at = (name: string): string => `${new URL(name, assets).href}?v=${version}`;
  import(/* @vite-ignore */ new URL("pyodide.asm.mjs", assets).href).catch(() => undefined); // which Pyodide imports once it is there itself
  const [module, sources, snapshot] = await Promise.all([
    import(/* @vite-ignore */ new URL("pyodide.mjs", assets).href) as Promise<{ loadPyodide: LoadPyodide }>,
    fetchGzipped(at("python-sources.json.gz")).then((bytes) => JSON.parse(new TextDecoder().decode(bytes)) as PythonSources),
    fetchGzipped(at("snapshot.bin.gz")).catch((error: unknown) => {
      console.warn("fanlight: no memory snapshot, booting without:", error);
      return undefined;
    }),
  ]);
  const config = { ...pythonConfig(sources), indexURL: assets.href, lockFileContents: PYODIDE_LOCK };
  if (snapshot) {
    try {
      return restored(await module.loadPyodide({ ...config, _loadSnapshot: snapshot }));
    } catch (error) {
      console.warn("fanlight: the memory snapshot does not load here, booting without:", error);
    }
  }
  return module.loadPyodide(config);
}

/** A snapshot repeats the random state of the build machine in every page: seed it anew. */
function restored(python: PyodideAPI): PyodideAPI {
  python.runPython("import random; random.seed()");
  return python;
}

async function fetchGzipped(url: string): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url);
  if (!response.ok || !response.body) throw new Error(`${url}: HTTP ${response.status}`);
  return new Response(response.body.pipeThrough(new DecompressionStream("gzip"))).bytes();
}
