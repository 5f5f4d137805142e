/**
 * What a model takes on the GPU and on the disk, from a few numbers of its config.json and the name of its quantisation: before any of its
 * bytes are here, and without Python.  fanlight/formats/footprint.py is the same, with the reasons; it is held to the compiler's plan.
 */

/** Of an encoder of pictures: patches of the largest one, and rows of the language model that become of it. */
export interface VisionNumbers {
  readonly quantization: string;
  readonly num_hidden_layers: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly patches: number;
  readonly rows: number;
}

/** Of a config.json, under its names. */
export interface ModelNumbers {
  readonly num_hidden_layers: number;
  readonly hidden_size: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly head_dim: number;
  readonly intermediate_size: number;
  readonly vocab_size: number;
  readonly tie_word_embeddings: boolean;
  readonly vision?: VisionNumbers;
}

/** In bytes: on the GPU weights, the conversation's keys and values, and the rest; and about what there is to download. */
export interface Footprint {
  readonly weights: number;
  readonly kv: number;
  readonly rest: number;
  readonly total: number;
  readonly file: number;
}

export const DEFAULT_CONTEXT = 4096;
export const POOLED_CONTEXT = 2048;
const STEP_ROWS = 512;
const POOLED_ROWS = 2048;
const FIXED_BYTES = 4_194_304 + 4_193_536; // grammars; transfers
const SAMPLED_BYTES = 4 * 4 * 3 + 20; // of each token of the vocabulary
const TOKEN_TEXT_BYTES = 45; // of each token of the vocabulary, in the file

const UNGATED = ["apertus", "arcee", "bert", "bloom", "codegen", "falcon", "gpt2", "gpt_bigcode", "gpt_neox", "gptj", "mpt", "nemotron", "opt", "phi", "roberta", "starcoder2"]; // whose MLP has two matrices
const FUSED = ["phi3", "gpt_neox", "falcon", "gpt2"]; // whose q, k and v are one matrix
// Three layers of four have a gated delta net, of Qwen3.5's widths; the others' attention has gates.
const HYBRID = ["qwen3_5"];
const [DELTA_KEYS, DELTA_DIM, DELTA_TAPS, STATES] = [2048, 128, 4, 8];
const PATCH = 3 * 16 * 16; // bytes of a patch, mostly
const KEPT_PICTURES = 2; // beside those of a step
const PLACES: Readonly<Record<string, number>> = { qwen3_vl: 2304 }; // lines of a table that is stretched over a picture
const DEEP: Readonly<Record<string, number>> = { qwen3_vl: 3 }; // more vectors to each row of a picture, for the layers below
export const ENCODERS = ["bert", "roberta", "nomic_bert", "modernbert"];

type Formats = readonly [most: string, half: string, fused: string, head: string];
const uniform = (name: string): [string, Formats] => [name, [name, name, name, name]];
const old = (name: string): [string, Formats] => [name, [name, name, name, "Q6_K"]];

export const SAME_FORMAT = ["F32", "F16", "BF16", "Q8_0", "Q6_K"]; // whose matrices all have the format of this name
/** Name of a quantisation -> formats of most matrices, of half of `v` and `down`, of fused q, k and v, of the head. */
export const QUANTIZATIONS: ReadonlyMap<string, Formats> = new Map([
  ...SAME_FORMAT.map(uniform),
  ...["Q4_0", "Q4_1", "Q5_0", "Q5_1"].map(old),
  ["Q4_K_S", ["Q4_K", "Q4_K", "Q4_K", "Q6_K"]],
  ["Q4_K_M", ["Q4_K", "Q6_K", "Q5_K", "Q6_K"]],
  ["Q5_K_S", ["Q5_K", "Q5_K", "Q5_K", "Q6_K"]],
  ["Q5_K_M", ["Q5_K", "Q6_K", "Q6_K", "Q6_K"]],
]);
const SMALL_BLOCKS: Readonly<Record<string, string>> = { Q4_K: "Q5_0", Q5_K: "Q5_1", Q6_K: "Q8_0" }; // of rows that are no multiple of 256
/** Values and bytes of a block. */
const BLOCKS: Readonly<Record<string, readonly [number, number]>> = {
  ...{ F32: [1, 4], F16: [1, 2], BF16: [1, 2], Q8_0: [32, 34] },
  ...{ Q4_0: [32, 18], Q4_1: [32, 20], Q5_0: [32, 22], Q5_1: [32, 24] },
  ...{ Q4_K: [256, 144], Q5_K: [256, 176], Q6_K: [256, 210] },
};

/** `pooled`: of a model that gives vectors, and keeps nothing of a text. */
export function footprintOf(architecture: string, quantization: string, n: ModelNumbers, contextLength: number, pooled: boolean): Footprint {
  let weights = 0;
  for (const [kind, rows, columns] of [...matrices(architecture, quantization, n), ...visionMatrices(architecture, n)]) weights += rows * rowBytes(kind, columns);
  const [queries, keys] = [n.num_attention_heads * n.head_dim, n.num_key_value_heads * n.head_dim];
  const file = weights + TOKEN_TEXT_BYTES * n.vocab_size;
  if (pooled) {
    const mlp = n.intermediate_size * (UNGATED.includes(architecture) ? 1 : 3);
    const rest = 4 * Math.max(POOLED_ROWS, contextLength) * (mlp + queries + 2 * keys) + FIXED_BYTES / 2;
    return { weights, kv: 0, rest, total: weights + rest, file };
  }
  let nets = 0;
  for (let layer = 0; layer < n.num_hidden_layers; layer++) nets += isNet(architecture, layer) ? 1 : 0;
  const kv = contextLength * (n.num_hidden_layers - nets) * 2 * keys * 2;
  const carried = 4 * STATES * nets * (deltaValues(n) * DELTA_DIM + (DELTA_TAPS - 1) * (2 * DELTA_KEYS + deltaValues(n)));
  const mixed = nets ? 4 * DELTA_KEYS + 3 * deltaValues(n) : queries + 2 * keys;
  const step = Math.max(4 * STEP_ROWS * (n.hidden_size + mixed), seeingBytes(architecture, n.vision));
  const rest = step + carried + pictureBytes(architecture, n) + SAMPLED_BYTES * n.vocab_size + FIXED_BYTES;
  return { weights, kv, rest, total: weights + kv + rest, file };
}

const isNet = (architecture: string, layer: number): boolean => HYBRID.includes(architecture) && layer % 4 < 3;
const deltaValues = (n: ModelNumbers): number => 2 * n.num_attention_heads * DELTA_DIM;

function* matrices(architecture: string, quantization: string, n: ModelNumbers): Generator<[kind: string, rows: number, columns: number]> {
  const [most, half, fused, head] = QUANTIZATIONS.get(quantization) as Formats;
  const [queries, keys, inner] = [n.num_attention_heads * n.head_dim, n.num_key_value_heads * n.head_dim, n.intermediate_size];
  yield [n.tie_word_embeddings ? head : most, n.vocab_size, n.hidden_size];
  if (!n.tie_word_embeddings) yield [head, n.vocab_size, n.hidden_size];
  for (let layer = 0; layer < n.num_hidden_layers; layer++) {
    const better = hasMoreBits(layer, n.num_hidden_layers) ? half : most;
    if (isNet(architecture, layer)) {
      yield [fused, 2 * DELTA_KEYS + deltaValues(n), n.hidden_size];
      yield [most, deltaValues(n) + 4 * n.num_attention_heads, n.hidden_size];
      yield ["F32", 2 * DELTA_KEYS + deltaValues(n), DELTA_TAPS];
    } else if (FUSED.includes(architecture)) yield [fused, queries + 2 * keys, n.hidden_size];
    else {
      yield [most, (HYBRID.includes(architecture) ? 2 : 1) * queries + keys, n.hidden_size];
      yield [better, keys, n.hidden_size];
    }
    yield [most, n.hidden_size, isNet(architecture, layer) ? deltaValues(n) : queries];
    yield [most, UNGATED.includes(architecture) ? inner : 2 * inner, n.hidden_size];
    yield [better, n.hidden_size, inner];
  }
}

function* visionMatrices(architecture: string, n: ModelNumbers): Generator<[kind: string, rows: number, columns: number]> {
  const v = n.vision;
  if (!v) return;
  if (architecture !== "qwen2_5_vl") yield ["F32", PLACES[architecture] ?? v.patches, v.hidden_size]; // its patches turn by where they are
  yield ["F16", v.hidden_size, PATCH * (architecture.startsWith("qwen") ? 2 : 1)];
  for (let layer = 0; layer < v.num_hidden_layers; layer++) {
    yield [v.quantization, 4 * v.hidden_size + mlpParts(architecture) * v.intermediate_size, v.hidden_size];
    yield [v.quantization, v.hidden_size, v.intermediate_size];
  }
  const joined = Math.floor(v.patches / v.rows) * v.hidden_size;
  for (let i = 0; i <= (DEEP[architecture] ?? 0); i++) {
    if (architecture.startsWith("qwen")) yield [v.quantization, joined, joined];
    yield [v.quantization, n.hidden_size, architecture === "gemma3" ? v.hidden_size : joined];
  }
}

const mlpParts = (architecture: string): number => (architecture === "qwen2_5_vl" ? 2 : 1);
const seeingBytes = (architecture: string, v?: VisionNumbers): number => (v ? 4 * v.patches * ((3 + (DEEP[architecture] ?? 0)) * v.hidden_size + (2 * mlpParts(architecture) - 1) * v.intermediate_size) : 0);
const pictureBytes = (architecture: string, { hidden_size: width, vision: v }: ModelNumbers): number =>
  v ? 4 * width * v.rows * (Math.ceil(STEP_ROWS / v.rows) + KEPT_PICTURES) * (1 + (DEEP[architecture] ?? 0)) : 0;

/** llama.cpp's choice of the layers whose `v` and `down` are kept better. */
function hasMoreBits(layer: number, layers: number): boolean {
  const eighth = Math.floor(layers / 8);
  return layer < eighth || layer >= Math.floor((7 * layers) / 8) || (layer >= eighth && (layer - eighth) % 3 === 2);
}

function rowBytes(kind: string, columns: number): number {
  const small = columns % 256 ? (SMALL_BLOCKS[kind] ?? kind) : kind;
  const chosen = small === "Q8_0" && columns % 32 ? "F16" : small;
  const [values, bytes] = BLOCKS[chosen] as readonly [number, number];
  return Math.floor(columns / values) * bytes;
}
