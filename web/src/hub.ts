/**
 * The Hugging Face Hub, or whatever answers its calls: what a text names, a repository's files with their sizes and digests, search.
 * Each call goes to `hub` only, and the token nowhere else.  Knows no store.
 */

import { RequestError, SourceError } from "./errors.js";
import type { HubFile } from "./hub-choice.js";
import type { Server } from "./server.js";
import { request } from "./sources.js";

export { chooseFiles, type HubFile } from "./hub-choice.js";

export const HUB = "https://huggingface.co";

/** A repository, as a text names it. */
export interface HubId {
  /** owner/name */
  readonly repo: string;
  /** A quantisation's name (Q4_K_M), the path of a GGUF file, or a folder's ending in a slash. */
  readonly quant?: string;
  /** A branch, tag or commit; main unless set. */
  readonly revision?: string;
}

export interface HubOptions {
  /** The hub's address: a mirror's, or a company's; huggingface.co unless set. */
  readonly hub?: string;
  /** For gated and private models. It is kept nowhere. */
  readonly token?: string;
  readonly signal?: AbortSignal;
}

/** What a repository has, at one commit. */
export interface HubListing {
  readonly repo: string;
  /** The commit. */
  readonly revision: string;
  readonly files: readonly HubFile[];
}

/** A model that was found. */
export interface HubModel {
  readonly id: string;
  readonly downloads: number;
  readonly likes: number;
  /** Its maker wants to be asked first: that takes a token. */
  readonly gated: boolean;
  /** As the hub spells it ("apache-2.0"), where it says one. */
  readonly licence: string | null;
  readonly updatedAt: string | null;
  readonly tags: readonly string[];
}

export interface SearchOptions extends HubOptions {
  /** At most so many, 1 to 100; 20 unless set. */
  readonly limit?: number;
  /** Only of this kind; "gguf" unless set. */
  readonly format?: "gguf" | "safetensors";
}

const ID = /^(?:hf:)?([\w.-]+\/[\w.-]+?)(?:@([\w./-]+?))?(?::([^:]+))?$/;
const HOST = /^(www\.)?(huggingface|hf)\.co\//i;
const FILE = /\.(gguf|safetensors)$/i;
const NO_MODELS = ["api", "datasets", "spaces", "docs", "papers", "collections", "blog", "models"]; // first parts of other pages' paths
const MAX_PAGES = 1000; // of a list of files; a server may send us in circles

/**
 * The repository that a text names: `owner/repo`, `owner/repo:Q4_K_M`, `owner/repo@revision`, with or without `hf:` or the hub's host
 * before it, or the address of its page or of one of its files there. Null if it is something else: a path or an address of elsewhere.
 */
export function parseHubId(text: string, hub: string = HUB): HubId | null {
  const page = parsePage(HOST.test(text) ? `https://${text}` : text, hub);
  if (page) return page;
  const [, repo, revision, quant] = (/^https?:/i.test(text) ? null : ID.exec(text)) ?? [];
  if (!repo || repo.startsWith(".") || (FILE.test(repo) && !quant)) return null;
  return { repo, ...(quant && { quant }), ...(revision && { revision }) };
}

/** As texts name it, by which it is stored. */
export function hubName({ repo, quant, revision }: HubId): string {
  return `hf:${repo}${revision ? `@${revision}` : ""}${quant ? `:${quant}` : ""}`;
}

function parsePage(text: string, hub: string): HubId | null {
  const base = [hub, HUB, "https://hf.co", "https://www.huggingface.co"].map(withSlash).find((base) => plain(text).startsWith(plain(base)));
  if (!base) return null;
  const url = new URL(text.replace(/^http:/i, "https:"));
  const inside = url.pathname.slice(new URL(base).pathname.length);
  const [owner, name, kind, revision, ...rest] = inside.split("/").filter(Boolean).map(decodeURIComponent);
  if (!owner || !name || NO_MODELS.includes(owner)) return null;
  const repo = `${owner}/${name.replace(/:.*/, "")}`;
  const [, quant] = /:(.+)/.exec(name) ?? [];
  const shown = url.searchParams.get("show_file_info"); // the page, with a file opened in it
  const isFile = ["blob", "resolve", "raw"].includes(kind ?? "");
  if (!isFile && kind !== "tree") return { repo, ...found(shown ?? quant ?? "") };
  const path = rest.join("/");
  const named = isFile && !inside.endsWith("/") ? path : path && `${path}/`;
  return { repo, ...found(named), ...(revision && revision !== "main" && { revision }) };
}

/** Of a file that is no model by itself, its folder. */
function found(path: string): Pick<HubId, "quant"> {
  const quant = path.endsWith("/") || !/[/.]/.test(path) || /\.gguf$/i.test(path) ? path : path.slice(0, path.lastIndexOf("/") + 1);
  return quant ? { quant } : {};
}

const plain = (url: string): string => url.replace(/^https?:/i, "").toLowerCase();
const withSlash = (url: string): string => url.replace(/\/*$/, "/");

/** The files of a repository at the newest commit of `revision`, with sizes and digests. */
export async function listFiles(repo: string, options: HubOptions & { readonly revision?: string } = {}): Promise<HubListing> {
  const { revision = "main", signal } = options;
  const base = `${hubOf(options)}api/models/${repo}`;
  const server = hubServer(repo, options);
  const { value: info } = await askJson(`${base}/revision/${encodeURIComponent(revision)}`, server, signal);
  const sha = (info as { sha?: unknown } | null)?.sha;
  if (typeof sha !== "string" || !/^[0-9a-f]{40,64}$/.test(sha)) throw strange(base, "no commit");
  const files: HubFile[] = [];
  let next: string | null = `${base}/tree/${sha}?recursive=true`;
  for (let page = 0; next; page++) {
    if (page === MAX_PAGES) throw strange(base, "a list without an end");
    const answer = await askJson(next, server, signal);
    if (!Array.isArray(answer.value)) throw strange(next, "no list of files");
    for (const entry of answer.value as readonly TreeEntry[]) if (entry.type === "file") files.push(fileOf(entry, next));
    next = answer.next;
  }
  return { repo, revision: sha, files };
}

interface TreeEntry {
  readonly type?: unknown;
  readonly path?: unknown;
  readonly size?: unknown;
  readonly oid?: unknown;
  readonly lfs?: { readonly oid?: unknown; readonly size?: unknown };
}

function fileOf({ path, size, oid, lfs }: TreeEntry, where: string): HubFile {
  const sha256 = lfs?.oid ?? null;
  const isGood = typeof path === "string" && Number.isSafeInteger(lfs?.size ?? size) && typeof oid === "string" && /^[0-9a-f]{40,64}$/.test(oid);
  if (!isGood || (sha256 !== null && !(typeof sha256 === "string" && /^[0-9a-f]{64}$/.test(sha256)))) throw strange(where, `no file: ${JSON.stringify({ path, size, oid, lfs })}`);
  return { path, size: (lfs?.size ?? size) as number, sha256, oid };
}

/** Where a file of a listing is read. */
export function fileUrl({ repo, revision }: Pick<HubListing, "repo" | "revision">, path: string, options: HubOptions = {}): string {
  return `${hubOf(options)}${repo}/resolve/${revision}/${path.split("/").map(encodeURIComponent).join("/")}`;
}

/** The models whose names have these words, those that are downloaded most first. */
export async function searchModels(query: string, options: SearchOptions = {}): Promise<HubModel[]> {
  const { limit = 20, format = "gguf", signal } = options;
  if (!Number.isInteger(limit) || limit < 1 || limit > 100) throw new RequestError(`limit must be a whole number from 1 to 100, got ${limit}`, { param: "limit" });
  const wanted = new URLSearchParams({ search: query, filter: format, sort: "downloads", direction: "-1", limit: String(limit) });
  const url = `${hubOf(options)}api/models?${wanted}`;
  const { value } = await askJson(url, hubServer(null, options), signal);
  if (!Array.isArray(value)) throw strange(url, "no list of models");
  return (value as readonly Record<string, unknown>[]).filter(({ id }) => typeof id === "string").map(modelOf).slice(0, limit);
}

function modelOf(found: Record<string, unknown>): HubModel {
  const { id, downloads, likes, gated, lastModified } = found;
  const tags = Array.isArray(found["tags"]) ? found["tags"].filter((tag): tag is string => typeof tag === "string") : [];
  const licence = tags.find((tag) => tag.startsWith("license:"))?.slice("license:".length) ?? null;
  const count = (value: unknown): number => (typeof value === "number" ? value : 0);
  const updatedAt = typeof lastModified === "string" ? lastModified : null;
  return { id: id as string, downloads: count(downloads), likes: count(likes), gated: Boolean(gated), licence, updatedAt, tags };
}

/** How the hub is asked, and what its refusals mean. `repo`: null where it is not about one. */
export function hubServer(repo: string | null, options: HubOptions): Server {
  const { token } = options;
  const { origin } = new URL(hubOf(options));
  return {
    headers: (url) => (token && new URL(url).origin === origin ? { Authorization: `Bearer ${token}` } : {}),
    refusal: (_, response) => (repo ? refusal(repo, response, options) : null),
  };
}

function refusal(repo: string, { status, headers }: Response, options: HubOptions): SourceError | null {
  const page = `${hubOf(options)}${repo}`;
  const code = headers.get("X-Error-Code");
  const withToken = options.token ? "with the token that was given" : "without a token";
  if (code === "GatedRepo" || (status === 403 && code !== "RepoNotFound")) {
    const hint = `Open ${page}, accept its conditions, and load it with a token of your account ({ token: "hf_…" }).`;
    return new SourceError(`this model's maker asks for consent first (${status}, ${withToken})`, { where: repo, hint });
  }
  if (code === "RevisionNotFound" || code === "EntryNotFound") {
    return new SourceError(`the repository has no such ${code === "EntryNotFound" ? "file" : "revision"} (${status})`, { where: repo, hint: `See ${page}.` });
  }
  if (status === 401 || status === 404) {
    const hint = `Check the name at ${page}. A private model needs a token ({ token: "hf_…" }).`;
    return new SourceError(`there is no such repository, or it is not public (${status}, ${withToken})`, { where: repo, hint });
  }
  return null;
}

function hubOf({ hub = HUB }: HubOptions): string {
  if (!/^https?:\/\/[^/?#]/.test(hub)) throw new RequestError(`hub must be an address, got '${hub}'`, { param: "hub", hint: `Such as ${HUB}.` });
  return withSlash(hub);
}

/** `next`: where the list goes on. */
async function askJson(url: string, server: Server, signal?: AbortSignal): Promise<{ value: unknown; next: string | null }> {
  const response = await request(url, {}, signal, server);
  const value: unknown = await response.json().catch(() => {
    throw strange(url, "no JSON");
  });
  const link = /<([^>]+)>;\s*rel="?next"?/.exec(response.headers.get("Link") ?? "")?.[1];
  const next = link ? new URL(link, url) : null;
  if (next && next.origin !== new URL(url).origin) throw strange(url, `a list that goes on at ${next.origin}`);
  return { value, next: next?.href ?? null };
}

function strange(url: string, got: string): SourceError {
  return new SourceError(`the hub answered what is not understood: ${got.slice(0, 300)}`, { where: url, hint: "Is this the address of a hub?" });
}
