// Bundles src/ to dist/ and copies what the package serves beside it.  Called by scripts/build_web.py with the build's version.
import { build } from "esbuild";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";

const VERSION = process.env.FANLIGHT_BUILD ?? "dev";
const PAGE_FILES = /\.(html|css|svg|png|webmanifest)$/;
const PACKAGE = { path: "./fanlight/index.js", external: true };
const PYODIDE = ["pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip"];

const { info } = JSON.parse(readFileSync("node_modules/pyodide/pyodide-lock.json", "utf8"));
const define = {
  FANLIGHT_BUILD: JSON.stringify(VERSION),
  PYODIDE_LOCK: JSON.stringify(JSON.stringify({ info, packages: {} })),
};

mkdirSync("dist", { recursive: true });
await build({
  entryPoints: {
    index: "src/index.ts",
    webllm: "src/webllm/index.ts",
    worker: "src/worker.ts",
    files: "src/files.ts",
    tokenizer: "src/tokenizer.ts",
    replay: "src/replay-entry.ts",
    python: "src/python.ts",
  },
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
// For a Python that is not ours: it comes as text out of the wheel, so it is one file.
await build({
  entryPoints: ["src/python-replay.ts"],
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
});
for (const name of PYODIDE) copyFileSync(`node_modules/pyodide/${name}`, `dist/${name}`);

// The chat page: a user of the package like any other, so the package is not bundled into it.
if (existsSync("demo/main.ts")) {
  const page = { bundle: true, target: "es2022", minify: true, define, legalComments: "linked", logLevel: "warning" };
  const fanlight = { name: "fanlight", setup: ({ onResolve }) => onResolve({ filter: /^fanlight$/ }, () => PACKAGE) };
  await build({ ...page, entryPoints: { page: "demo/main.ts", bench: "demo/bench.ts", measure: "demo/measure.ts" }, outdir: "build/page", format: "esm", splitting: true, chunkNames: "[name]-[hash]", plugins: [fanlight] });
  await build({ ...page, entryPoints: ["demo/service-worker.ts"], outdir: "build/page", format: "iife" });
  for (const name of readdirSync("demo").filter((name) => PAGE_FILES.test(name))) copyFileSync(`demo/${name}`, `build/page/${name}`);
}
