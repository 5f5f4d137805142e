"""The files' worker of the package, asked from a page as the engine's worker asks it: a model's files are opened, downloaded,
checked and kept, without Python and without a GPU.  `load` gives name, size and SHA-256 of each file, or the error as its
data."""

from typing import Any

LOAD = """async ([reference, store, files]) => {
  const blob = (name) => new File([Uint8Array.from(files[name])], name);
  if (reference.files) reference.files = reference.files.map(blob);
  if (reference.access?.signature in files) reference.access.signature = blob(reference.access.signature);
  const worker = new Worker("/fanlight/files.js", { type: "module" });
  const open = new Map();
  let nextId = 1;
  worker.onmessage = ({ data }) => {
    const { resolve, reject } = open.get(data.id);
    open.delete(data.id);
    data.error ? reject(data.error) : resolve(data.value);
  };
  worker.onerror = (event) => open.forEach(({ reject }) => reject({ message: event.message }));
  const ask = (name, ...values) => new Promise((resolve, reject) => {
    open.set(nextId, { resolve, reject });
    worker.postMessage({ id: nextId++, name, values });
  });
  globalThis.files = { ask, worker };
  const isIdle = async () => !(await navigator.locks.query()).held.some(({ name }) => name.startsWith("fanlight"));
  try {
    const opened = await ask("open", reference, store);
    opened.forEach((_, i) => ask("download", i));
    const found = [];
    for (const [i, { name, size }] of opened.entries()) {
      await ask("kept", i);
      const bytes = await ask("read", i, 0, size);
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
      found.push({ name, size, sha256: Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("") });
    }
    return found;
  } catch (error) {
    return { error };
  } finally {
    ask("close").catch(() => undefined);
    for (let i = 0; i < 200 && !(await isIdle()); i++) await new Promise((resolve) => setTimeout(resolve, 25));
    worker.terminate();
  }
}"""

STORED = """async () => (await import("/fanlight/index.js")).listModels()"""


def load(page: Any, model: dict[str, Any], *, store: bool = True, files: dict[str, bytes] | None = None) -> Any:
    """model: a ModelReference; of its `files`, and of a signature, the names in `files`."""
    return page.evaluate(LOAD, [model, store, {name: list(data) for name, data in (files or {}).items()}])


def of_url(url: str, **access: Any) -> dict[str, Any]:
    return {"kind": "url", "url": url, "access": access}


def of_hub(name: str, **access: Any) -> dict[str, Any]:
    return {"kind": "hub", "id": name, "access": access}


def stored(page: Any) -> Any:
    return page.evaluate(STORED)
