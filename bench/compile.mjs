// One row of `python -m bench compile --pyodide`: what a schema costs to compile in Pyodide, booted from web/dist as a page does.
// usage: node bench/compile.mjs SCHEMA   (after `make web`)
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { loadPyodide } from "../web/node_modules/pyodide/pyodide.mjs";
import { pythonConfig, roomyModule } from "../web/dist/python.js";

const unpacked = (name) => gunzipSync(readFileSync(new URL(`../web/dist/${name}`, import.meta.url)));

/** Seconds that this thread has run: other programs, and V8's compilers in threads of their own, do not count. Linux. */
const clock = () => Number(readFileSync("/proc/self/schedstat", "ascii").split(" ")[0]) / 1e9;

async function main() {
  const sources = JSON.parse(unpacked("python-sources.json.gz").toString());
  const createPyodideModule = roomyModule(new URL("../web/node_modules/pyodide/pyodide.asm.mjs", import.meta.url).href);
  const folder = mkdtempSync(`${tmpdir()}/fanlight-`);
  const stdLibURL = `${folder}/python_stdlib.zip`; // the memory knows where in it a module lies
  writeFileSync(stdLibURL, unpacked("python_stdlib.zip.gz"));
  const python = await loadPyodide({ ...pythonConfig(sources), stdLibURL, createPyodideModule, _loadSnapshot: unpacked("snapshot.bin.gz") });
  rmSync(folder, { recursive: true });
  python.mountNodeFS("/bench", fileURLToPath(new URL(".", import.meta.url)));
  python.runPython("import sys; sys.path.insert(0, '/')");
  console.log(python.pyimport("bench.compile").measured(process.argv[2], clock));
}

// An uncaught error would print a line of Pyodide's minified source, a megabyte long.
await main().catch((error) => {
  console.error(String(error.message ?? error).slice(-3000));
  process.exit(1);
});
