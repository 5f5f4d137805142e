// A worker for tests: boots Python as the package does and runs the Python text that it is sent, with `replayer` in its globals.
import { bootPython } from "/fanlight/python.js";
import { openGpu, Replayer } from "/fanlight/replay.js";

const at = (name) => new URL(`/fanlight/${name}?v=test`, location.href).href;
const FILES = {
  pyodide: at("pyodide.asm.mjs"),
  wasm: at("pyodide.asm.wasm.gz"),
  stdlib: at("python_stdlib.zip.gz"),
  sources: at("python-sources.json.gz"),
  snapshot: at("snapshot.bin.gz"),
};

const booted = (async () => {
  const start = performance.now();
  const python = await bootPython(FILES);
  return { python, bootMs: performance.now() - start };
})();

self.onmessage = async ({ data }) => {
  try {
    const { python, bootMs } = await booted;
    const gpu = data.gpu ? new Replayer(await openGpu()) : null;
    const globals = python.toPy({ replayer: gpu });
    const result = await python.runPythonAsync(data.code, { globals });
    self.postMessage({ result, bootMs });
  } catch (error) {
    self.postMessage({ error: String(error.stack ?? error) });
  }
};
