/**
 * From what a page names to the Sources of a model: files, a URL (also of a split GGUF, or of a Hugging Face folder), a repository of the
 * hub, a stored model.  What is known of the files' bytes goes along: whoever downloads them checks it.
 */

import { checkBlob } from "./digests.js";
import { openDownload, openInMemory } from "./download.js";
import { RequestError, SourceError } from "./errors.js";
import { chooseFiles, fileUrl, type HubId, hubName, type HubOptions, hubServer, listFiles, parseHubId } from "./hub.js";
import { INDEX, MODULES, partsOf, SIDE_FILES } from "./hub-choice.js";
import { CONFIG as MLC_CONFIG, INDEXES as MLC_INDEXES, listMlcShards } from "./mlc.js";
import { canWrite } from "./opfs.js";
import type { Access, ModelReference } from "./protocol.js";
import type { FileReference, Server } from "./server.js";
import { isFull, noSpace } from "./shelf.js";
import { signedDigests, withSigned } from "./signatures.js";
import { blobSource, fileName, MODULE_FOLDER, nameInModel, openLocal, openRemote, PLAIN, request, type Source } from "./sources.js";
import { binName, completeFile, listModels, openStore, readManifest, removeFile, type Store, writeManifest, writeRecord } from "./storage.js";

type Options = Access & { readonly signal?: AbortSignal };

const SIGNATURE = "model.sig"; // as model-signing calls it

export async function openModel(model: ModelReference, store: boolean, signal?: AbortSignal): Promise<Source[]> {
  const { access = {} } = model;
  if (access.signature !== undefined && access.publicKey === undefined) {
    throw new RequestError("signature needs a publicKey: anybody can sign", { param: "publicKey", hint: "Give the PEM text of the key that must have made it." });
  }
  const options = { ...access, ...(signal && { signal }) };
  if (model.kind === "files") return openBlobs(model.files, options);
  const name = model.kind === "hub" ? model.id : model.kind === "url" ? model.url : await storedName(model.name);
  try {
    return await openNamed(name, store || model.kind === "stored", options);
  } catch (error) {
    throw isFull(error) ? noSpace(name, null) : error; // also where a few bytes are written: a list of files, a record
  }
}

async function openBlobs(files: readonly File[], { signature, publicKey, signal }: Options): Promise<Source[]> {
  const paths = files.map((file) => file.webkitRelativePath || file.name);
  if (publicKey !== undefined) {
    if (!(signature instanceof Blob)) throw new RequestError("with files, signature must be a file too", { param: "signature" });
    const digests = await signedDigests(await signature.text(), publicKey, SIGNATURE);
    const signed = withSigned(paths.map((path) => ({ url: new URL(encodeURI(path), "file:///").href })), digests);
    for (const [i, file] of files.entries()) await checkBlob(file, signed[i]?.digest ?? "", file.name);
  }
  return files.map((file, i) => blobSource(file, nameInModel(paths[i] ?? file.name), signal));
}

async function storedName(name: string): Promise<string> {
  const models = await listModels();
  const found = models.find((model) => model.url === name) ?? models.find((model) => model.name === name);
  if (!found) {
    const names = models.map((model) => model.name).join(", ");
    throw new SourceError(`no stored model '${name}'`, { hint: names ? `Stored are: ${names}.` : "Nothing is stored yet." });
  }
  return found.url;
}

/** Stored files are used without asking the server, so this works offline. */
async function openNamed(text: string, keep: boolean, options: Options): Promise<Source[]> {
  const id = parseHubId(text, options.hub);
  const name = id ? hubName(id) : fileAddress(text);
  const isServed = /^https?:/.test(name) || id !== null; // else it is on the device already
  const store = keep && isServed ? await openStore() : null;
  if (keep && isServed && !(store && canWrite)) console.info("fanlight: nothing can be kept here; the model will be downloaded again next time");
  const stored = store && ((await readManifest(store, name)) ?? (await readManifest(store, text))); // older ones are called otherwise
  const server = id ? hubServer(id.repo, options) : PLAIN;
  const listed = stored?.files ?? (id ? await listRepository(id, options) : await listUrls(name, options.signal));
  const { files, signature } = await checkSignature(listed, server, options, stored?.signature);
  const sources: Source[] = [];
  try {
    for (const file of files) sources.push(await (isServed ? openFile(file, server, store, options.signal) : openLocal(file.url, options.signal)));
  } catch (error) {
    for (const source of sources) source.close?.();
    throw error;
  }
  if (store && canWrite) await writeManifest(store, name, files, signature);
  return sources;
}

async function openFile(file: FileReference, server: Server, store: Store | null, signal?: AbortSignal): Promise<Source> {
  const { url, digest } = file;
  const stored = store && (await openComplete(store, file));
  if (stored) return { ...blobSource(stored, fileName(url), signal), shared: { name: await binName(url), mode: "read-only" } };
  const remote = await openRemote(file, server, signal);
  const download = store && canWrite && (await openDownload(store, remote, signal));
  if (download) return download;
  return digest || !remote.hasRanges ? openInMemory(remote, signal) : remote;
}

/** The stored file, if it is whole; where a digest came to be known since it was stored, and it is not that file, it is deleted. */
async function openComplete(store: Store, { url, digest }: FileReference): Promise<File | null> {
  const found = await completeFile(store, url);
  if (!found || !digest || found.record.digest === digest) return found?.file ?? null;
  try {
    await checkBlob(found.file, digest, url);
  } catch {
    await removeFile(store, url);
    return null;
  }
  await writeRecord(store, { ...found.record, digest });
  return found.file;
}

/** The files with the digests that were signed, where a signature is asked for. `kept`: one that was stored with the model. */
async function checkSignature(files: readonly FileReference[], server: Server, options: Options, kept?: string): Promise<{ files: readonly FileReference[]; signature?: string }> {
  const { signature = SIGNATURE, publicKey, signal } = options;
  if (publicKey === undefined) return { files, ...(kept !== undefined && { signature: kept }) };
  const holds = async (text: string, where: string) => ({ files: withSigned(files, await signedDigests(text, publicKey, where)), signature: text });
  if (signature instanceof Blob) return holds(await signature.text(), SIGNATURE);
  const again = kept === undefined ? null : await holds(kept, signature).catch(() => null);
  if (again) return again; // offline too
  const url = new URL(signature, files[0]?.url).href;
  return holds(await (await request(url, {}, signal, server)).text(), url);
}

/** The model's files in the repository, with what the hub knows of their bytes. */
async function listRepository(id: HubId, options: HubOptions): Promise<FileReference[]> {
  const listing = await listFiles(id.repo, { ...options, ...(id.revision && { revision: id.revision }) });
  const folder = id.quant?.endsWith("/") ? id.quant : "";
  const index = listing.files.find(({ path }) => path === folder + INDEX);
  const shards = index && (!id.quant || folder) ? await listShards(fileUrl(listing, index.path, options), hubServer(id.repo, options), options.signal) : undefined;
  return chooseFiles(listing, id.quant, shards).map(({ path, size, sha256, oid }) => ({
    url: fileUrl(listing, path, options),
    size,
    digest: sha256 ? `sha256:${sha256}` : `git:${oid}`,
  }));
}

function fileAddress(address: string): string {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    throw new SourceError("is no address", { where: address, hint: "Give the link of a GGUF file, starting with https://" });
  }
  url.hash = "";
  return url.href;
}

async function listUrls(url: string, signal?: AbortSignal): Promise<FileReference[]> {
  const { pathname } = new URL(url);
  if (pathname.endsWith("/")) return (await listFolder(url, signal)).map((url) => ({ url }));
  return partsOf(pathname).map((path) => {
    const part = new URL(url);
    part.pathname = path;
    return { url: part.href };
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
  const shards = index ? await listShards(at(index), PLAIN, signal) : ["model.safetensors"];
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

async function listShards(url: string, server: Server, signal?: AbortSignal): Promise<string[]> {
  const response = await request(url, {}, signal, server);
  const { weight_map: map } = (await response.json().catch(() => ({}))) as { weight_map?: unknown };
  const names = typeof map === "object" && map !== null ? [...new Set(Object.values(map))] : [];
  if (!names.length || !names.every((name): name is string => typeof name === "string" && /^[\w.-]+\.safetensors$/.test(name))) {
    throw new SourceError("is no list of safetensors files", { where: url });
  }
  return names.sort();
}
