/**
 * Which of a hub repository's files make the model.  fanlight/formats/hub.py has the same rules; tests/formats/hub_cases.json holds both
 * to them.  Knows names and sizes, asks nobody.
 */

import { SourceError } from "./errors.js";
import { mlcModel } from "./mlc.js";

/** A file of a repository, as the hub lists it. */
export interface HubFile {
  /** Inside the repository, with slashes. */
  readonly path: string;
  readonly size: number;
  /** Of its bytes. Null where git holds the file itself: then `oid` is what they are checked by. */
  readonly sha256: string | null;
  /** Of git: SHA-1 over a header and the bytes. */
  readonly oid: string;
}

type Listing = { readonly repo: string; readonly files: readonly HubFile[] };

/** Tried in this order where nobody said which, and there are several. */
export const PREFERRED = ["Q4_K_M", "Q4_K_S", "Q4_0", "Q5_K_M", "Q8_0"];

/** Likewise, of files of encoders. */
const ENCODERS = ["Q8_0", "F16", "BF16", "F32"];
const ENCODER = /mmproj[^/]*\.gguf$/i; // of pictures or sounds, beside a language model

export const PART = /-(\d{5})-of-(\d{5})(\.gguf)$/i;
export const INDEX = "model.safetensors.index.json"; // Hugging Face's list of shards
export const SIDE_FILES = ["tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja", "chat_template.json", "sentence_bert_config.json", "preprocessor_config.json", "processor_config.json"];
export const MODULES = "modules.json"; // of sentence-transformers
const MODULE_FILE = /^\d+_[A-Z]\w*\/(config\.json|model\.safetensors)$/;
const MORE_TEMPLATES = /^additional_chat_templates\/[^/]+\.jinja$/;
const NO_MODEL = /^(mmproj|imatrix)|mmproj/i; // GGUF files that are parts of others, or notes about them

/**
 * The files of the model, in the order in which they are opened: those of a GGUF model, with all its parts and its encoder's unless `quant`
 * is the name of a file, or the safetensors files and what they need. `quant`: a quantisation's name (Q4_K_M), the path of a GGUF file, or
 * a folder's ending in a slash; without it the safetensors model comes first, then the one GGUF model or the first of `PREFERRED`.
 * `shards`: what INDEX lists, if that was read.
 * Throws SourceError.
 */
export function chooseFiles({ repo, files }: Listing, quant?: string, shards?: readonly string[]): HubFile[] {
  const folder = quant?.endsWith("/") ? quant : "";
  if (folder) {
    const inside = files.filter(({ path }) => path.startsWith(folder)).map((file) => ({ ...file, path: file.path.slice(folder.length) }));
    return chooseFiles({ repo: `${repo}/${folder.slice(0, -1)}`, files: inside }, undefined, shards).map((file) => ({ ...file, path: folder + file.path }));
  }
  const byPath = new Map(files.map((file) => [file.path, file]));
  const paths = [...byPath.keys()];
  const found = quant ? [] : mlcModel(paths, SIDE_FILES);
  const chosen = (quant || found.length ? found : safetensorsModel(paths, shards)) as string[];
  const names = chosen.length ? chosen : quant && /\.gguf$/i.test(quant) ? chooseGguf(repo, files, quant) : withEncoder(chooseGguf(repo, files, quant), paths);
  return names.map((path) => {
    const file = byPath.get(path);
    if (file) return file;
    throw new SourceError(`${path} is missing: the model has ${names.length} files`, { where: repo, hint: "The repository is not complete: choose another one." });
  });
}

/** None if there is none. */
function safetensorsModel(paths: readonly string[], shards?: readonly string[]): string[] {
  const found = paths.filter((path) => path.endsWith(".safetensors") && !path.includes("/"));
  if (found.length === 0) return [];
  // Other copies of the weights may lie beside (consolidated.safetensors).
  const numbered = found.filter((path) => /^model-\d+-of-\d+\.safetensors$/.test(path));
  const whole = found.filter((path) => path === "model.safetensors");
  const weights = [shards ?? [], whole, numbered, found].find((names) => names.length) as readonly string[];
  const sides = paths.filter((path) => ["config.json", INDEX, MODULES, ...SIDE_FILES].includes(path) || MORE_TEMPLATES.test(path));
  const modules = paths.includes(MODULES) ? paths.filter((path) => MODULE_FILE.test(path)) : [];
  return [...sides.sort(), ...[...weights].sort(), ...modules.sort()];
}

function chooseGguf(repo: string, files: readonly HubFile[], quant?: string): string[] {
  const models = groupGguf(files.map(({ path }) => path));
  if (models.length === 0) {
    const there = files.map(({ path }) => path).sort().join(", ") || "nothing";
    throw new SourceError(`there is no GGUF and no safetensors model in it, only: ${there.slice(0, 300)}`, { where: repo });
  }
  if (!quant && models.length === 1) return models[0] as string[];
  const asked = models.filter(([first]) => first === quant || first === partsOf(quant ?? "")[0]);
  if (asked.length === 1) return asked[0] as string[];
  for (const name of quant ? [quant] : PREFERRED) {
    const found = matching(models, name);
    if (found.length === 1) return found[0] as string[];
    if (found.length) throw ambiguous(repo, files, found, `${found.length} of its GGUF models match '${name}'`);
  }
  throw ambiguous(repo, files, models, quant ? `none of its GGUF models matches '${quant}'` : `there are ${models.length} GGUF models`);
}

/** And the encoder's file that lies beside it, or above, if there is one. */
function withEncoder(model: readonly string[], paths: readonly string[]): string[] {
  const folderOf = (path = ""): string => path.slice(0, path.lastIndexOf("/") + 1);
  const beside = (path: string): boolean => ENCODER.test(path) && ["", folderOf(model[0])].includes(folderOf(path));
  const found = paths.filter(beside).sort().map((path) => [path]);
  const [first = found[0]] = ENCODERS.flatMap((name) => matching(found, name));
  return [...model, ...(first ?? [])];
}

/** Those that have the name of the quantisation in theirs; of several those that end with it. */
function matching(models: readonly string[][], name: string): string[][] {
  const word = `(?<![a-z0-9])${name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`;
  const stem = ([first]: string[]): string => (first ?? "").replace(PART, "$3").replace(/\.gguf$/i, "");
  const found = models.filter((parts) => new RegExp(`${word}(?![a-z0-9_])`, "i").test(stem(parts)));
  const ending = found.filter((parts) => new RegExp(`${word}$`, "i").test(stem(parts)));
  return ending.length === 1 ? ending : found;
}

function ambiguous(repo: string, files: readonly HubFile[], models: readonly string[][], message: string): SourceError {
  const sizes = new Map(files.map(({ path, size }) => [path, size]));
  const sizeOf = (parts: readonly string[]): number => parts.reduce((all, part) => all + (sizes.get(part) ?? 0), 0);
  const list = models.map((parts) => `${parts[0]} (${(sizeOf(parts) / 1e9).toFixed(2)} GB)`).join(", ");
  return new SourceError(`${message}; there is: ${list.slice(0, 800)}`, { where: repo, hint: `Say which: ${repo}:NAME, such as ${repo}:${PREFERRED[0]}.` });
}

/** The GGUF models among the paths, each with all its parts, also those that are missing. */
export function groupGguf(paths: readonly string[]): string[][] {
  const models = new Map<string, string[]>();
  for (const path of [...paths].sort()) {
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (!/\.gguf$/i.test(name) || NO_MODEL.test(name)) continue;
    const parts = partsOf(path);
    models.set(parts[0] as string, parts);
  }
  return [...models.values()];
}

/** All parts of a split GGUF file, one of which is `path`; else `path` alone. */
export function partsOf(path: string): string[] {
  const part = PART.exec(path);
  const count = Number(part?.[2]);
  if (!part || Number(part[1]) < 1 || Number(part[1]) > count) return [path];
  return Array.from({ length: count }, (_, i) => path.replace(PART, `-${String(i + 1).padStart(5, "0")}-of-${part[2]}${part[3]}`));
}
