// Bundles src/ to dist/ and copies what the package serves beside it.  Called by scripts/build_web.py with the build's version.
import { build } from "esbuild";
import { copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";

const VERSION = process.env.FANLIGHT_BUILD ?? "dev";
const PYODIDE = ["pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip"];

const { info } = JSON.parse(readFileSync("node_modules/pyodide/pyodide-lock.json", "utf8"));
const define = {
  FANLIGHT_BUILD: JSON.stringify(VERSION),
  PYODIDE_LOCK: JSON.stringify(JSON.stringify({ info, packages: {} })),
};

mkdirSync("dist", { recursive: true });
await build({
  entryPoints: { index: "src/index.ts", worker: "src/worker.ts", replay: "src/replay-entry.ts", python: "src/python.ts" },
  outdir: "dist",
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  minify: true,
  sourcemap: true,
  sourcesContent: false,
  legalComments: "linked",
  define,
  logLevel: "warning",
});
for (const name of PYODIDE) copyFileSync(`node_modules/pyodide/${name}`, `dist/${name}`);

if (existsSync("src/service-worker.ts")) {
  await build({
    entryPoints: ["src/service-worker.ts"],
    outfile: "dist/service-worker.js",
    bundle: true,
    format: "iife",
    target: "es2022",
    minify: true,
    define,
    logLevel: "warning",
  });
}
