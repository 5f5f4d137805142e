// A Python as a page boots it that is not ours: Pyodide from npm, the wheels unpacked. Runs what it is sent; in a worker by messages.
import { loadPyodide } from "/pyodide/pyodide.mjs";

/** registered: a URL of ours that the page itself imports. */
export async function boot(wheels, registered) {
  if (registered) globalThis.fanlight_replay = await import(registered);
  const python = await loadPyodide({ indexURL: "/pyodide/" });
  for (const wheel of wheels) {
    const response = await fetch(`/wheels/${wheel}`);
    python.unpackArchive(await response.arrayBuffer(), "wheel");
  }
  return python;
}

export async function run(python, code) {
  const result = await python.runPythonAsync(code);
  return result?.toJs ? result.toJs({ dict_converter: Object.fromEntries }) : result;
}

if ("DedicatedWorkerGlobalScope" in globalThis) {
  let booted;
  self.onmessage = async ({ data: { wheels, code, registered } }) => {
    try {
      booted ??= boot(wheels, registered);
      self.postMessage({ result: await run(await booted, code) });
    } catch (error) {
      self.postMessage({ error: String(error.message ?? error) });
    }
  };
}
