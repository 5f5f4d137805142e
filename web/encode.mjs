// Writes NAME.br beside files of dist and of the chat page: what `fanlight serve` sends of NAME to who takes Brotli.  Of a .gz file it is
// what is in it.
// usage: node encode.mjs   (after snapshot.mjs)
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { brotliCompress, constants, gunzipSync } from "node:zlib";

const IS_OURS = /\.(js|mjs|css|gz)$/;
const LARGE = 5e6; // bytes of what is worth a minute: the snapshot, the WebAssembly

async function encode(path) {
  const file = readFileSync(path);
  const bytes = path.endsWith(".gz") ? gunzipSync(file) : file;
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: bytes.length > LARGE ? 11 : 9,
    [constants.BROTLI_PARAM_LGWIN]: 24,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  };
  writeFileSync(`${path}.br`, await promisify(brotliCompress)(bytes, { params }));
}

const paths = ["dist", "build/page"].flatMap((folder) => readdirSync(folder).filter((name) => IS_OURS.test(name)).map((name) => `${folder}/${name}`));
await Promise.all(paths.map(encode));
