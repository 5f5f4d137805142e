// Writes NAME.br beside files of dist: what `fanlight serve` sends of NAME to who takes Brotli.  Of a .gz file it is what is in it.
// usage: node encode.mjs   (after snapshot.mjs)
import { readFileSync, writeFileSync } from "node:fs";
import { brotliCompressSync, constants, gunzipSync } from "node:zlib";

const NAMES = ["pyodide.asm.mjs", "pyodide.asm.wasm.gz", "python_stdlib.zip.gz", "python-sources.json.gz", "snapshot.bin.gz"];

for (const name of NAMES) {
  const file = readFileSync(`dist/${name}`);
  const bytes = name.endsWith(".gz") ? gunzipSync(file) : file;
  const params = { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  writeFileSync(`dist/${name}.br`, brotliCompressSync(bytes, { params }));
}
