/**
 * Signed models, in the format of `model-signing`: a Sigstore bundle (v0.3) whose DSSE envelope holds an in-toto statement with the SHA-256
 * of each file, signed with a key.  https://github.com/sigstore/model-transparency, https://github.com/secure-systems-lab/dsse
 * fanlight/formats/signatures.py has the same rules; both are held to bundles that model-signing made.  What else the format allows
 * (certificates, Sigstore's identities, shards, other hashes) is refused by name.
 */

import { SourceError } from "./errors.js";
import type { FileReference } from "./server.js";

const MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json";
const PAYLOAD_TYPE = "application/vnd.in-toto+json";
const STATEMENT = "https://in-toto.io/Statement/v1";
const PREDICATE = "https://model_signing/signature/v1.0";
const MAX_BYTES = 64 << 20;

/** Curves by the OID in a key, in DER, with the hash that goes with each and the length of its numbers. */
const CURVES = [
  { oid: "06082a8648ce3d030107", name: "P-256", hash: "SHA-256", bytes: 32 },
  { oid: "06052b81040022", name: "P-384", hash: "SHA-384", bytes: 48 },
  { oid: "06052b81040023", name: "P-521", hash: "SHA-512", bytes: 66 },
] as const;

type Bytes = Uint8Array<ArrayBuffer>;
type Json = Readonly<Record<string, unknown>>;

/** The signed files' SHA-256, by path. `publicKey`: in PEM. Throws SourceError where the bundle is not signed with it, or not understood. */
export async function signedDigests(bundle: string, publicKey: string, where: string): Promise<Map<string, string>> {
  const failed = (message: string, hint = "The model was not signed with this key, or its signature was changed: do not use it."): SourceError =>
    new SourceError(`the signature does not hold: ${message}`, { where, hint });
  const unknown = (message: string): SourceError => failed(message, "Here are understood: bundles that model-signing made with a key (model_signing sign key).");
  if (bundle.length > MAX_BYTES) throw unknown(`it has ${bundle.length} bytes`);
  const { mediaType, verificationMaterial, dsseEnvelope } = object(parsed(bundle, unknown), "the bundle", unknown);
  if (mediaType !== MEDIA_TYPE) throw unknown(`its mediaType is ${shown(mediaType)}, expected ${MEDIA_TYPE}`);
  const material = object(verificationMaterial, "verificationMaterial", unknown);
  for (const kind of ["certificate", "x509CertificateChain"]) if (material[kind]) throw unknown(`it was made with a ${kind}, not with a key`);
  const key = await readKey(publicKey);
  const { hint } = object(material["publicKey"], "verificationMaterial.publicKey", unknown);
  if (hint && hint !== key.hint) throw failed(`it was made with another key: hint ${shown(hint)}, this one has ${key.hint}`);

  const { payload, payloadType, signatures } = object(dsseEnvelope, "dsseEnvelope", unknown);
  if (payloadType !== PAYLOAD_TYPE) throw unknown(`its payloadType is ${shown(payloadType)}, expected ${PAYLOAD_TYPE}`);
  if (!Array.isArray(signatures) || signatures.length !== 1) throw unknown("it has not one signature");
  const body = fromBase64(payload, "payload", unknown);
  const { sig } = object(signatures[0], "signatures[0]", unknown);
  const signature = rawSignature(fromBase64(sig, "sig", unknown), key.bytes);
  const isGood = signature && (await crypto.subtle.verify({ name: "ECDSA", hash: key.hash }, key.key, signature, encoded(body)));
  if (!isGood) throw failed("these bytes were not signed with this key");
  return readStatement(parsed(new TextDecoder().decode(body), unknown), failed, unknown);
}

type Fail = (message: string) => SourceError;

/** What was signed is consistent, and understood. */
async function readStatement(value: unknown, failed: Fail, unknown: Fail): Promise<Map<string, string>> {
  const { _type, predicateType, subject, predicate } = object(value, "the statement", unknown);
  if (_type !== STATEMENT) throw unknown(`its _type is ${shown(_type)}, expected ${STATEMENT}`);
  if (predicateType !== PREDICATE) throw unknown(`its predicateType is ${shown(predicateType)}, expected ${PREDICATE}`);
  if (!Array.isArray(subject) || subject.length !== 1) throw unknown("it has not one subject");
  const { sha256: root } = object(object(subject[0], "subject[0]", unknown)["digest"], "subject[0].digest", unknown);
  const { serialization, resources } = object(predicate, "predicate", unknown);
  const { method, hash_type: hash } = object(serialization, "serialization", unknown);
  if (method !== "files" || hash !== "sha256") throw unknown(`its serialization is ${shown(method)} with ${shown(hash)}, expected "files" with "sha256"`);
  if (!Array.isArray(resources)) throw unknown("it has no resources");
  const digests = new Map<string, string>();
  for (const item of resources) {
    const { name, algorithm, digest } = object(item, "resources", unknown);
    if (typeof name !== "string" || algorithm !== "sha256" || typeof digest !== "string" || !/^[0-9a-f]{64}$/.test(digest)) throw unknown(`its resource ${shown(item)}`);
    if (digests.has(name)) throw failed(`${name} is in it twice`);
    digests.set(name, digest);
  }
  const all = Uint8Array.from([...digests.values()].flatMap((digest) => (digest.match(/../g) ?? []).map((pair) => parseInt(pair, 16))));
  const found = hex(new Uint8Array(await crypto.subtle.digest("SHA-256", all)));
  if (found !== root) throw failed(`its files' digests make ${found}, its subject says ${shown(root)}`);
  return digests;
}

interface Key {
  readonly key: CryptoKey;
  readonly hash: string;
  readonly bytes: number;
  /** By which bundles name it. */
  readonly hint: string;
}

async function readKey(pem: string): Promise<Key> {
  const refused = (message: string): SourceError =>
    new SourceError(`the public key ${message}`, { where: "publicKey", hint: "Give the text of the PEM file (-----BEGIN PUBLIC KEY-----) of an elliptic curve key: P-256, P-384 or P-521." });
  const inside = /^\s*-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*$/.exec(pem)?.[1];
  if (!inside) throw refused("is no PEM text");
  const der = fromBase64(inside.replace(/\s/g, ""), "publicKey", refused);
  const curve = CURVES.find(({ oid }) => hex(der).includes(oid));
  if (!curve) throw refused("is of no curve that is known here");
  const key = await crypto.subtle.importKey("spki", der, { name: "ECDSA", namedCurve: curve.name }, false, ["verify"]).catch(() => {
    throw refused("is damaged");
  });
  const lines = toBase64(der).match(/.{1,64}/g) ?? [];
  const text = ["-----BEGIN PUBLIC KEY-----", ...lines, "-----END PUBLIC KEY-----", ""].join("\n");
  return { key, hash: curve.hash, bytes: curve.bytes, hint: hex(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)))) };
}

/** DSSE's encoding of what is signed. */
function encoded(body: Bytes): Bytes {
  const head = new TextEncoder().encode(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${body.length} `);
  const all = new Uint8Array(head.length + body.length);
  all.set(head);
  all.set(body, head.length);
  return all;
}

/** The two numbers of a signature in DER, each in so many bytes, as WebCrypto wants them; null if it is none. */
function rawSignature(der: Bytes, bytes: number): Bytes | null {
  let at = 0;
  const length = (): number => {
    const first = der[at++] ?? 0;
    return first === 0x81 ? (der[at++] ?? 0) : first;
  };
  if (der[at++] !== 0x30 || length() !== der.length - at) return null;
  const raw = new Uint8Array(2 * bytes);
  for (const end of [bytes, 2 * bytes]) {
    if (der[at++] !== 0x02) return null;
    const size = length();
    const digits = der.subarray(at, at + size);
    at += size;
    const trimmed = digits[0] === 0 ? digits.subarray(1) : digits;
    if (digits.length !== size || trimmed.length > bytes) return null;
    raw.set(trimmed, end - trimmed.length);
  }
  return at === der.length ? raw : null;
}

function parsed(text: string, unknown: Fail): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw unknown("it is no JSON");
  }
}

function object(value: unknown, what: string, unknown: Fail): Json {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  throw unknown(`${what} is missing`);
}

function fromBase64(text: unknown, what: string, unknown: Fail): Bytes {
  try {
    if (typeof text === "string" && /^[A-Za-z0-9+/]+={0,2}$/.test(text)) return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  } catch {
    // said below
  }
  throw unknown(`${what} is no base64`);
}

const toBase64 = (bytes: Bytes): string => btoa(String.fromCharCode(...bytes));
const hex = (bytes: Bytes): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const shown = (value: unknown): string => (JSON.stringify(value) ?? "missing").slice(0, 200);

/** The files with their signed digests. A file is named as in the signed folder: by the end of its path. Throws where one was not signed. */
export function withSigned(files: readonly FileReference[], digests: ReadonlyMap<string, string>): FileReference[] {
  return files.map((file) => {
    const path = `/${decodeURIComponent(new URL(file.url).pathname)}`;
    const [name] = [...digests.keys()].filter((name) => path.endsWith(`/${name}`)).sort((a, b) => b.length - a.length);
    const signed = name === undefined ? undefined : `sha256:${digests.get(name)}`;
    if (!signed) throw new SourceError(`is not among the ${digests.size} files that were signed`, { where: file.url, hint: "Do not use it, or load it without its signature." });
    if (file.digest?.startsWith("sha256:") && file.digest !== signed) {
      throw new SourceError(`was signed as ${signed}, but the server has ${file.digest}`, { where: file.url, hint: "This is not the file that was signed: do not use it." });
    }
    return { ...file, digest: signed };
  });
}
