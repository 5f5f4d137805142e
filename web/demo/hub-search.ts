/** Models of the Hugging Face Hub: found by words or by owner/name, then their files to choose from.  The only part of this page that asks the hub. */

import { chooseFiles, type HubFile, type HubModel, listFiles, parseHubId, searchModels } from "fanlight";
import type { Choice } from "./choice.js";
import type { Device } from "./device.js";
import { type Announce, button, field, h } from "./dom.js";
import { failureBox, isAbort } from "./failures.js";
import { verdictOf } from "./fits.js";
import * as strings from "./strings.js";

export interface HubSearch {
  readonly node: HTMLElement;
  find(text: string): Promise<void>;
  clear(): void;
  setDevice(device: Device): void;
}

/** A model of a repository: its first or only file with that of its vision encoder, the bytes of all, and how it is asked for. */
interface Variant {
  readonly path: string;
  readonly size: number;
  readonly quant: string;
}

const ENCODER = /mmproj[^/]*$/i; // of pictures or sounds: a file beside a model's
const REST_BYTES = 0.4e9; // what a model takes besides its weights, about: its header is not read yet
const ADDRESS = new URLSearchParams(location.search).get("hub"); // another hub: a mirror, or a company's

export function hubSearch(load: (choice: Choice) => void, announce: Announce): HubSearch {
  const words = strings.hub;
  const results = h("div", { class: "stack hub", hidden: true });
  let device: Device | null = null;
  let token = ""; // of this visit; it is kept nowhere
  let current: AbortController | null = null;

  const access = () => ({ ...(ADDRESS && { hub: ADDRESS }), ...(token && { token }) });
  const heading = (text: string): HTMLElement => h("h3", { tabindex: -1 }, text);

  /** Shows what comes of it; a newer question takes the place of one that is open. */
  const ask = async (busy: string, work: (signal: AbortSignal) => Promise<readonly HTMLElement[]>): Promise<void> => {
    current?.abort();
    const { signal } = (current = new AbortController());
    results.hidden = false;
    results.replaceChildren(h("p", { class: "note", role: "status" }, busy));
    try {
      const shown = await work(signal);
      if (signal.aborted) return;
      results.replaceChildren(...shown);
      results.querySelector("h3")?.focus();
      announce(results.querySelector("h3")?.textContent ?? "");
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      results.replaceChildren(failureBox(error, { retry: () => void ask(busy, work), dismiss: clear }), tokenForm(() => void ask(busy, work)));
    }
  };
  const clear = (): void => {
    current?.abort();
    results.replaceChildren();
    results.hidden = true;
  };
  const tokenForm = (again: () => void): HTMLElement => {
    const input = h("input", { type: "password", autocomplete: "off", value: token });
    const control = field(words.token, input, words.tokenNote);
    input.after(h("button", { type: "submit" }, words.tokenUse));
    const form = h("form", { class: "url-form", novalidate: true }, control);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      token = input.value.trim();
      again();
    });
    return form;
  };

  const openRepository = (repo: string, revision?: string, quant?: string): Promise<void> =>
    ask(words.listing(repo), async (signal) => {
      const { files } = await listFiles(repo, { ...access(), ...(revision !== undefined && { revision }), signal });
      const variants = variantsOf(repo, files).filter(({ path }) => !quant || path.toLowerCase().includes(quant.toLowerCase()));
      const hasFolder = files.some(({ path }) => /^[^/]+\.safetensors$/.test(path)) && files.some(({ path }) => path === "config.json");
      const id = revision === undefined ? repo : `${repo}@${revision}`;
      const items = variants.map((variant) => variantItem(variant, `${id}:${variant.quant}`));
      if (hasFolder && !quant) {
        const size = files.filter(({ path }) => /^[^/]+\.safetensors$/.test(path)).reduce((all, file) => all + file.size, 0);
        items.unshift(variantItem({ path: "safetensors", size, quant: "" }, id));
      }
      const none = items.length === 0 && h("p", { class: "note" }, words.noFiles);
      return [heading(repo), ...(none ? [none] : []), h("ul", { class: "entries" }, ...items)];
    });

  const variantItem = ({ path, size }: Variant, model: string): HTMLElement => {
    const verdict = device ? verdictOf(size + REST_BYTES, size, device) : "unknown";
    const start = (): void => load({ model, name: path === "safetensors" ? model : (path.split(" + ")[0]?.split("/").at(-1) ?? path), isBuiltIn: false, access: access() });
    const badge = h("span", { class: `badge ${verdict}` }, strings.catalogue.verdicts[verdict](size + REST_BYTES));
    const body = h("div", { class: "entry-body" }, h("p", {}, path), h("p", { class: "badges" }, h("span", { class: "badge" }, strings.bytes(size)), badge));
    return h("li", { class: "entry" }, body, button(strings.catalogue.load, start, { "aria-label": strings.catalogue.loadNamed(path) }));
  };

  const foundItem = (model: HubModel): HTMLElement => {
    const facts = [model.licence ?? words.noLicence, words.downloads(model.downloads), model.gated && strings.catalogue.gated].filter(Boolean).join(" · ");
    const body = h("div", { class: "entry-body" }, h("p", {}, model.id), h("p", { class: "note" }, facts));
    return h("li", { class: "entry" }, body, button(words.files, () => void openRepository(model.id), { "aria-label": words.filesOf(model.id) }));
  };

  return {
    node: results,
    clear,
    setDevice: (newer) => void (device = newer),
    async find(text) {
      const id = parseHubId(text, ADDRESS ?? undefined);
      if (id) return openRepository(id.repo, id.revision, id.quant);
      await ask(words.searching(text), async (signal) => {
        const found = await searchModels(text, { ...access(), limit: 12, signal });
        if (found.length === 0) return [heading(words.nothing(text))];
        return [heading(words.found(found.length, text)), h("ul", { class: "entries" }, ...found.map(foundItem))];
      });
    },
  };
}

/** The GGUF models among the files, the smallest first; parts of one count as one, and the encoder that comes along counts with it. */
function variantsOf(repo: string, files: readonly HubFile[]): Variant[] {
  const models = new Map<string, number>();
  for (const { path, size } of files) {
    if (!/\.gguf$/i.test(path) || ENCODER.test(path) || /(^|\/)imatrix[^/]*$/i.test(path)) continue;
    const first = path.replace(/-\d{5}(-of-\d{5}\.gguf)$/i, "-00001$1");
    models.set(first, (models.get(first) ?? 0) + size);
  }
  const variants = [...models].map(([path, size]) => {
    const quant = path.replace(/(-\d{5}-of-\d{5})?\.gguf$/i, ""); // by its file's whole name it would come without its encoder
    const encoder = encoderOf(repo, files, quant);
    return encoder ? { path: `${path} + ${encoder.path}`, size: size + encoder.size, quant } : { path, size, quant: path };
  });
  return variants.sort((a, b) => a.size - b.size);
}

/** None where the model has none, or its name is not enough to find it. */
function encoderOf(repo: string, files: readonly HubFile[], quant: string): HubFile | undefined {
  try {
    return chooseFiles({ repo, files }, quant).find(({ path }) => ENCODER.test(path));
  } catch {
    return undefined; // whoever loads it is told what is missing
  }
}
