// Makes dist/snapshot.bin.gz: CPython's memory after importing everything the worker needs, so that a page's boot skips it, and after
// making the automata that every JSON schema shares (numbers, formats of strings), so that its first one costs what later ones do.
// usage: node snapshot.mjs [SOURCES OUTPUT]   (after build.mjs; the files are dist/python-sources.json.gz and dist/snapshot.bin.gz)
// The library is dist/python_stdlib.zip.gz, as in a page: the memory knows where in it a module lies.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { gunzipSync, gzipSync } from "node:zlib";
import { loadPyodide } from "pyodide";
import { pythonConfig } from "./dist/python.js";

// The worker's modules must import; of the others, one that does not is named and left for later.
const IMPORT_ALL = `
import asyncio, importlib, pkgutil
import jinja2.sandbox
import fanlight.api.worker
left_out = []
for found in pkgutil.walk_packages(fanlight.__path__, "fanlight.", onerror=lambda name: None):
    try:
        importlib.import_module(found.name)
    except ImportError as error:
        left_out.append(f"{found.name} ({error})")
try:
    from fanlight.grammar.formats import warm
    warm()
except ImportError:  # the stub of a test
    pass
import gc
gc.collect()
"\\n".join(left_out)
`;

const [input = "dist/python-sources.json.gz", output = "dist/snapshot.bin.gz"] = process.argv.slice(2);

async function main() {
  const sources = JSON.parse(gunzipSync(readFileSync(input)).toString());
  const folder = mkdtempSync(`${tmpdir()}/fanlight-`);
  const stdLibURL = `${folder}/python_stdlib.zip`;
  writeFileSync(stdLibURL, gunzipSync(readFileSync("dist/python_stdlib.zip.gz")));
  const python = await loadPyodide({ ...pythonConfig(sources), stdLibURL, _makeSnapshot: true });
  rmSync(folder, { recursive: true });
  const leftOut = python.runPython(IMPORT_ALL);
  if (leftOut) console.log(`not for the browser: ${leftOut.replaceAll("\n", ", ")}`);
  const snapshot = python.makeMemorySnapshot();
  const packed = gzipSync(snapshot, { level: 9 });
  writeFileSync(output, packed);
  console.log(`snapshot: ${(snapshot.length / 1e6).toFixed(1)} MB, ${(packed.length / 1e6).toFixed(1)} MB gzipped`);
}

// An uncaught error would print a line of Pyodide's minified source, a megabyte long.
await main().catch((error) => {
  console.error(String(error.message ?? error).slice(-3000));
  process.exit(1);
});
process.exit(0);
