/** From what a page names to the Sources of a model: files, a URL (also of a split GGUF, or of a Hugging Face folder), a stored model. */

import { openDownload } from "./download.js";
import { SourceError } from "./errors.js";
import { CONFIG as MLC_CONFIG, INDEXES as MLC_INDEXES, listMlcShards } from "./mlc.js";
import { canWrite } from "./opfs.js";
import type { ModelReference } from "./protocol.js";
import { blobSource, fileName, MODULE_FOLDER, nameInModel, openLocal, openRemote, type RemoteSource, request, type Source } from "./sources.js";
import { binName, completeFile, listModels, openStore, readManifest, type Store, writeManifest } from "./storage.js";

const PART = /-(\d{5})-of-(\d{5})(\.gguf)$/i;
const INDEX = "model.safetensors.index.json"; // Hugging Face's list of shards
const SIDE_FILES = ["tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja", "chat_template.json", "sentence_bert_config.json"];
const MODULES = "modules.json"; // of sentence-transformers

export async function openModel(model: ModelReference, store: boolean, signal?: AbortSignal): Promise<Source[]> {
  switch (model.kind) {
    case "files":
      return model.files.map((file) => blobSource(file, nameInModel(file.webkitRelativePath || file.name), signal));
    case "url":
      return openUrl(model.url, store, signal);
    case "stored":
      return openStored(model.name, signal);
  }
}

async function openStored(name: string, signal?: AbortSignal): Promise<Source[]> {
  const models = await listModels();
  const found = models.find((model) => model.url === name) ?? models.find((model) => model.name === name);
  if (!found) {
    const names = models.map((model) => model.name).join(", ");
    throw new SourceError(`no stored model '${name}'`, { hint: names ? `Stored are: ${names}.` : "Nothing is stored yet." });
  }
  return openUrl(found.url, true, signal);
}

/** Stored files are used without asking the server, so this works offline. */
async function openUrl(address: string, keep: boolean, signal?: AbortSignal): Promise<Source[]> {
  const url = fileAddress(address);
  const isServed = /^https?:/.test(url); // else it is on the device already
  const store = keep && isServed ? await openStore() : null;
  if (keep && isServed && !(store && canWrite)) console.info("fanlight: nothing can be kept here; the model will be downloaded again next time");
  const urls = (store && (await readManifest(store, url))) ?? (await listUrls(url, signal));
  const sources: Source[] = [];
  try {
    for (const file of urls) sources.push(await (isServed ? openFile(file, store, signal) : openLocal(file, signal)));
  } catch (error) {
    for (const source of sources) source.close?.();
    throw error;
  }
  if (store && canWrite) await writeManifest(store, url, urls);
  return sources;
}

async function openFile(url: string, store: Store | null, signal?: AbortSignal): Promise<Source> {
  const stored = store && (await completeFile(store, url));
  if (stored) return { ...blobSource(stored, fileName(url), signal), shared: { name: await binName(url), mode: "read-only" } };
  const remote: RemoteSource = await openRemote(url, signal);
  return (store && canWrite ? await openDownload(store, remote, signal) : null) ?? remote;
}

/** The page that shows a file, as people copy it, stands for the file. */
function fileAddress(address: string): string {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    throw new SourceError("is no address", { where: address, hint: "Give the link of a GGUF file, starting with https://" });
  }
  if (/(^|\.)(huggingface\.co|hf\.co)$/.test(url.hostname)) url.pathname = url.pathname.replace("/blob/", "/resolve/");
  url.hash = "";
  return url.href;
}

async function listUrls(url: string, signal?: AbortSignal): Promise<string[]> {
  const { pathname } = new URL(url);
  if (pathname.endsWith("/")) return listFolder(url, signal);
  const part = PART.exec(pathname);
  if (!part) return [url];
  const count = Number(part[2]);
  return Array.from({ length: count }, (_, i) => {
    const other = new URL(url);
    other.pathname = pathname.replace(PART, `-${String(i + 1).padStart(5, "0")}-of-${part[2]}${part[3]}`);
    return other.href;
  });
}

/** A server lists no folder: the names are Hugging Face's, and which of them are there is asked one by one. */
async function listFolder(url: string, signal?: AbortSignal): Promise<string[]> {
  const at = (name: string): string => {
    const file = new URL(url);
    file.pathname += name;
    return file.href;
  };
  const exists = async (name: string): Promise<boolean> => {
    const response = await fetch(at(name), { method: "HEAD", signal: signal ?? null }).catch(() => null);
    signal?.throwIfAborted();
    return response?.ok === true;
  };
  const found = await Promise.all([INDEX, MLC_CONFIG, ...SIDE_FILES].map(async (name) => ((await exists(name)) ? name : null)));
  const [index, mlcConfig, ...sides] = found;
  if (mlcConfig) {
    const mlcIndex = (await exists(MLC_INDEXES[0])) ? MLC_INDEXES[0] : MLC_INDEXES[1];
    const names = [mlcConfig, mlcIndex, ...sides, ...(await listMlcShards(at(mlcIndex), signal))];
    return names.filter((name) => name !== null).map(at);
  }
  const shards = index ? await listShards(at(index), signal) : ["model.safetensors"];
  const modules = (await exists(MODULES)) ? [MODULES, ...(await listModules(at(MODULES), exists, signal))] : [];
  const names = ["config.json", ...sides, index ?? null, ...shards, ...modules];
  return names.filter((name) => name !== null).map(at);
}

/** The files of the modules that follow the model. */
async function listModules(url: string, exists: (name: string) => Promise<boolean>, signal?: AbortSignal): Promise<string[]> {
  const response = await request(url, {}, signal);
  const modules: unknown = await response.json().catch(() => null);
  const paths = Array.isArray(modules) ? modules.map((module: { path?: unknown }) => module.path) : [];
  const folders = paths.filter((path): path is string => typeof path === "string" && MODULE_FOLDER.test(path));
  const names = folders.flatMap((path) => [`${path}/config.json`, `${path}/model.safetensors`]);
  const found = await Promise.all(names.map(async (name) => ((await exists(name)) ? name : null)));
  return found.filter((name) => name !== null);
}

async function listShards(url: string, signal?: AbortSignal): Promise<string[]> {
  const response = await request(url, {}, signal);
  const { weight_map: map } = (await response.json().catch(() => ({}))) as { weight_map?: unknown };
  const names = typeof map === "object" && map !== null ? [...new Set(Object.values(map))] : [];
  if (!names.length || !names.every((name): name is string => typeof name === "string" && /^[\w.-]+\.safetensors$/.test(name))) {
    throw new SourceError("is no list of safetensors files", { where: url });
  }
  return names.sort();
}
