// Bundles src/ to dist/ and copies what the package serves beside it.  Called by scripts/build_web.py with the build's version.
import { build } from "esbuild";
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const VERSION = process.env.FANLIGHT_BUILD ?? "dev";
const PAGE_FILES = /\.(html|css|svg|png|webmanifest)$/;
const PACKAGE = { path: "./fanlight/index.js", external: true };
const PYODIDE = "node_modules/pyodide";

const { info } = JSON.parse(readFileSync("node_modules/pyodide/pyodide-lock.json", "utf8"));
const define = {
  FANLIGHT_BUILD: JSON.stringify(VERSION),
  PYODIDE_LOCK: JSON.stringify(JSON.stringify({ info, packages: {} })),
};

mkdirSync("dist", { recursive: true });
const packaged = {
  outdir: "dist",
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  sourcemap: true,
  sourcesContent: false,
  legalComments: "linked",
  define,
  logLevel: "warning",
};
/**
 * Of Pyodide, what runs in a browser alone. Servers and bundlers that read scripts (Vite's, Parcel) follow every import that they find, of
 * Node's modules too, and an address that a script makes of its own.
 */
const inBrowsers = {
  define: { ...define, process: "undefined", "globalThis.process": "undefined", Buffer: "undefined", require: "undefined", __dirname: '""', __filename: '""' },
  plugins: [
    {
      name: "in browsers",
      setup({ onLoad, onResolve }) {
        onResolve({ filter: /^(node:.*|ws)$/ }, ({ path }) => ({ path, namespace: "nothing" }));
        onLoad({ filter: /.*/, namespace: "nothing" }, () => ({ contents: "" }));
        onLoad({ filter: /pyodide\.asm\.mjs$/ }, ({ path }) => ({ contents: withoutAddress(readFileSync(path, "utf8")), loader: "js" }));
      },
    },
  ],
};

/** Where it lies is said when it is booted. */
function withoutAddress(script) {
  const address = 'new URL("pyodide.asm.wasm",import.meta.url).href';
  if (!script.includes(address)) throw new Error(`pyodide.asm.mjs has no ${address} any more: see what it has in its place`);
  return script.replace(address, '"pyodide.asm.wasm"');
}
// What pages import; and workers, each one file: a bundler that copies it must not need to know what else it is made of.
const imported = { index: "src/index.ts", webllm: "src/webllm/index.ts", "prompt-api": "src/prompt-api/index.ts", replay: "src/replay-entry.ts" };
await build({ ...packaged, entryPoints: imported, splitting: true });
await build({ ...packaged, entryPoints: { files: "src/files.ts", tokenizer: "src/tokenizer.ts" } });
await build({ ...packaged, ...inBrowsers, entryPoints: { worker: "src/worker.ts" } });
await build({ ...packaged, ...inBrowsers, sourcemap: false, entryPoints: [`${PYODIDE}/pyodide.asm.mjs`], outExtension: { ".js": ".mjs" } });
await build({ ...packaged, external: ["node:*"], entryPoints: { python: "src/python.ts" } }); // for Node too, which makes the snapshot
// For a Python that is not ours: it comes as text out of the wheel.
await build({ ...packaged, entryPoints: ["src/python-replay.ts"] });
writeFileSync("dist/pyodide.asm.wasm.gz", gzipSync(readFileSync(`${PYODIDE}/pyodide.asm.wasm`), { level: 9 }));
// For service workers: the one to import, the other whole and for `importScripts`.
await build({ ...packaged, entryPoints: ["src/service-worker.ts"] });
await build({ ...packaged, entryPoints: ["src/standalone-service-worker.ts"], format: "iife" });

// The chat page: a user of the package like any other, so the package is not bundled into it.
if (existsSync("demo/main.ts")) {
  const page = { bundle: true, target: "es2022", minify: true, charset: "utf8", define, legalComments: "linked", logLevel: "warning" };
  const fanlight = { name: "fanlight", setup: ({ onResolve }) => onResolve({ filter: /^fanlight$/ }, () => PACKAGE) };
  await build({ ...page, entryPoints: { page: "demo/main.ts", bench: "demo/bench.ts", measure: "demo/measure.ts" }, outdir: "build/page", format: "esm", splitting: true, chunkNames: "[name]-[hash]", plugins: [fanlight] });
  await build({ ...page, entryPoints: ["demo/service-worker.ts"], outdir: "build/page", format: "iife" });
  copyFileSync("node_modules/pdfjs-dist/build/pdf.worker.min.mjs", "build/page/pdf.worker.js");
  cpSync("node_modules/pdfjs-dist/cmaps", "build/page/cmaps", { recursive: true });
  copyFileSync("node_modules/@fontsource/stix-two-math/files/stix-two-math-latin-400-normal.woff2", "build/page/formula.woff2");
  for (const name of readdirSync("demo").filter((name) => PAGE_FILES.test(name))) copyFileSync(`demo/${name}`, `build/page/${name}`);
}
