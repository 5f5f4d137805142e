/** The package's other files. Each is named literally, so that bundlers find them, may call them otherwise, and serve them. */

/** The address of each. */
export interface Assets {
  readonly worker: string;
  readonly files: string;
  readonly tokenizer: string;
  readonly builtIn: string;
  readonly pyodide: string;
  readonly wasm: string;
  readonly stdlib: string;
  readonly sources: string;
  readonly snapshot: string;
}

const NAMES: Assets = {
  worker: "worker.js",
  files: "files.js",
  tokenizer: "tokenizer.js",
  builtIn: "built-in.gguf",
  pyodide: "pyodide.asm.mjs",
  wasm: "pyodide.asm.wasm.gz",
  stdlib: "python_stdlib.zip.gz",
  sources: "python-sources.json.gz",
  snapshot: "snapshot.bin.gz",
};

/** In a folder of this package's files, or where they are beside this one. */
export function findAssets(folder?: string | URL): Assets {
  const found = folder === undefined ? besideThis() : inFolder(new URL(folder, location.href));
  const ofThisBuild = Object.entries(found).map(([name, url]) => [name, `${new URL(url, location.href).href}?v=${FANLIGHT_BUILD}`]); // Next gives paths
  return Object.fromEntries(ofThisBuild) as unknown as Assets;
}

function inFolder(folder: URL): Assets {
  const base = folder.href.endsWith("/") ? folder : new URL(`${folder.pathname.split("/").at(-1)}/`, folder);
  return Object.fromEntries(Object.entries(NAMES).map(([name, file]) => [name, new URL(file, base).href])) as unknown as Assets;
}

function besideThis(): Assets {
  return {
    worker: new URL("./worker.js", import.meta.url).href,
    files: new URL("./files.js", import.meta.url).href,
    tokenizer: new URL("./tokenizer.js", import.meta.url).href,
    builtIn: new URL("./built-in.gguf", import.meta.url).href,
    pyodide: new URL("./pyodide.asm.mjs", import.meta.url).href,
    wasm: new URL("./pyodide.asm.wasm.gz", import.meta.url).href,
    stdlib: new URL("./python_stdlib.zip.gz", import.meta.url).href,
    sources: new URL("./python-sources.json.gz", import.meta.url).href,
    snapshot: new URL("./snapshot.bin.gz", import.meta.url).href,
  };
}

/** A worker of this package. A page may start one of its own origin only: one of another is started by a line that imports it. */
export function startWorker(url: string, name: string): Worker {
  if (new URL(url).origin === location.origin) return new Worker(url, { type: "module", name });
  const shim = URL.createObjectURL(new Blob([`import ${JSON.stringify(url)};`], { type: "text/javascript" }));
  return new Worker(shim, { type: "module", name });
}
