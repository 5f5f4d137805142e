"""What a model takes on the GPU and on the disk, from a few numbers of its config.json and the name of its quantisation: before
any of its bytes are here.  web/src/footprint.ts is the same; tests/formats/test_footprint.py holds both to the compiler's plan,
of which this differs by less than 2 %.

    weights      matrices, in the formats that llama.cpp's quantisations of this name have; as large on the GPU as in the file
    kv           keys and values of `context_length` tokens, two bytes a number (fewer where a window is short beside a context)
    rest         activations of a step, logits, grammars, transfers; what layers carry from token to token, and of pictures

Knows no tensor's name: norms and biases are below a thousandth."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fanlight.formats.quant import QUANT_TYPES

DEFAULT_CONTEXT, POOLED_CONTEXT = 4096, 2048  # as engine/load.py
STEP_ROWS, POOLED_ROWS = 512, 2048
FIXED_BYTES = 4_194_304 + 4_193_536  # grammars; transfers
SAMPLED_BYTES = 4 * 4 * 3 + 20  # of each token of the vocabulary: logits, counts and bias of four sequences; its text
TOKEN_TEXT_BYTES = 45  # of each token of the vocabulary, in the file

UNGATED = frozenset(
    {
        "apertus",
        "arcee",
        "bert",
        "bloom",
        "codegen",
        "falcon",
        "gpt2",
        "gpt_bigcode",
        "gpt_neox",
        "gptj",
        "mpt",
        "nemotron",
        "opt",
        "phi",
        "roberta",
        "starcoder2",
    }
)  # whose MLP has two matrices
FUSED = frozenset({"phi3", "gpt_neox", "falcon", "gpt2"})  # whose q, k and v are one matrix
# Three layers of four have a gated delta net, of Qwen3.5's widths: 16 heads of keys, of values twice as many as attention has
# heads, 128 numbers each, 4 taps. The others' attention has gates.
HYBRID = frozenset({"qwen3_5"})
DELTA_KEYS, DELTA_DIM, DELTA_TAPS = 2048, 128, 4
STATES = 8  # of four sequences, and four snapshots
PATCH = 3 * 16 * 16  # bytes of a patch, mostly
KEPT_PICTURES = 2  # beside those of a step
PLACES = {"qwen3_vl": 2304}  # lines of a table that is stretched over a picture
DEEP = {"qwen3_vl": 3}  # more vectors to each row of a picture, for the layers below
ENCODERS = frozenset({"bert", "roberta", "nomic_bert", "modernbert"})
SAME_FORMAT = ("F32", "F16", "BF16", "Q8_0", "Q6_K")  # whose matrices all have the format of this name
# Name of a quantisation -> formats of most matrices, of half of `v` and `down`, of fused q, k and v, of the head.
QUANTIZATIONS: Mapping[str, tuple[str, str, str, str]] = {
    **{name: (name,) * 4 for name in SAME_FORMAT},
    **{name: (name, name, name, "Q6_K") for name in ("Q4_0", "Q4_1", "Q5_0", "Q5_1")},
    "Q4_K_S": ("Q4_K", "Q4_K", "Q4_K", "Q6_K"),
    "Q4_K_M": ("Q4_K", "Q6_K", "Q5_K", "Q6_K"),
    "Q5_K_S": ("Q5_K", "Q5_K", "Q5_K", "Q6_K"),
    "Q5_K_M": ("Q5_K", "Q6_K", "Q6_K", "Q6_K"),
}
SMALL_BLOCKS = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}  # of rows that are no multiple of 256


@dataclass(frozen=True, slots=True)
class Vision:
    """Of an encoder of pictures. patches: of the largest picture, and rows of the language model that become of it."""

    quantization: str
    num_hidden_layers: int
    hidden_size: int
    intermediate_size: int
    patches: int
    rows: int


@dataclass(frozen=True, slots=True)
class Numbers:
    """Of a config.json, under its names."""

    num_hidden_layers: int
    hidden_size: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    tie_word_embeddings: bool
    vision: Vision | None = None


@dataclass(frozen=True, slots=True)
class Footprint:
    """In bytes."""

    weights: int
    kv: int
    rest: int
    file: int  # about: what there is to download

    @property
    def total(self) -> int:
        return self.weights + self.kv + self.rest


def footprint(architecture: str, quantization: str, numbers: Numbers, context_length: int, pooled: bool = False) -> Footprint:
    """pooled: of a model that gives vectors, and keeps nothing of a text."""
    n = numbers
    matrices = (*_matrices(architecture, quantization, n), *_vision_matrices(architecture, n))
    weights = sum(rows * _row_bytes(kind, columns) for kind, rows, columns in matrices)
    queries, keys = n.num_attention_heads * n.head_dim, n.num_key_value_heads * n.head_dim
    file = weights + TOKEN_TEXT_BYTES * n.vocab_size
    if pooled:
        mlp = n.intermediate_size * (1 if architecture in UNGATED else 3)
        rows = max(POOLED_ROWS, context_length)
        return Footprint(weights, 0, 4 * rows * (mlp + queries + 2 * keys) + FIXED_BYTES // 2, file)
    nets = sum(_is_net(architecture, layer) for layer in range(n.num_hidden_layers))
    kv = context_length * (n.num_hidden_layers - nets) * 2 * keys * 2
    values = _delta_values(n)
    mixed = 4 * DELTA_KEYS + 3 * values if nets else queries + 2 * keys
    step = max(4 * STEP_ROWS * (n.hidden_size + mixed), _seeing_bytes(architecture, n.vision))
    carried = 4 * STATES * nets * (values * DELTA_DIM + (DELTA_TAPS - 1) * (2 * DELTA_KEYS + values))
    carried += _picture_bytes(architecture, n)
    return Footprint(weights, kv, step + carried + SAMPLED_BYTES * n.vocab_size + FIXED_BYTES, file)


def _is_net(architecture: str, layer: int) -> bool:
    return architecture in HYBRID and layer % 4 < 3


def _delta_values(n: Numbers) -> int:
    return 2 * n.num_attention_heads * DELTA_DIM


def _matrices(architecture: str, quantization: str, n: Numbers) -> Iterator[tuple[str, int, int]]:
    """Format, rows and columns of each."""
    most, half, fused, head = QUANTIZATIONS[quantization]
    queries, keys, inner = n.num_attention_heads * n.head_dim, n.num_key_value_heads * n.head_dim, n.intermediate_size
    yield head if n.tie_word_embeddings else most, n.vocab_size, n.hidden_size
    if not n.tie_word_embeddings:
        yield head, n.vocab_size, n.hidden_size
    for layer in range(n.num_hidden_layers):
        better = half if has_more_bits(layer, n.num_hidden_layers) else most
        if _is_net(architecture, layer):
            yield fused, 2 * DELTA_KEYS + _delta_values(n), n.hidden_size
            yield most, _delta_values(n) + 4 * n.num_attention_heads, n.hidden_size
            yield "F32", 2 * DELTA_KEYS + _delta_values(n), DELTA_TAPS
        elif architecture in FUSED:
            yield fused, queries + 2 * keys, n.hidden_size
        else:
            yield most, (2 if architecture in HYBRID else 1) * queries + keys, n.hidden_size
            yield better, keys, n.hidden_size
        yield most, n.hidden_size, _delta_values(n) if _is_net(architecture, layer) else queries
        yield most, inner if architecture in UNGATED else 2 * inner, n.hidden_size
        yield better, n.hidden_size, inner


def _vision_matrices(architecture: str, n: Numbers) -> Iterator[tuple[str, int, int]]:
    """Of the encoder, and of what makes rows of the language model of its patches."""
    if (v := n.vision) is None:
        return
    if architecture != "qwen2_5_vl":  # whose patches turn by where they are
        yield "F32", PLACES.get(architecture, v.patches), v.hidden_size
    yield "F16", v.hidden_size, PATCH * (2 if architecture.startswith("qwen") else 1)  # whose pictures are films of two
    for _ in range(v.num_hidden_layers):
        yield v.quantization, 4 * v.hidden_size + _mlp_parts(architecture) * v.intermediate_size, v.hidden_size
        yield v.quantization, v.hidden_size, v.intermediate_size
    joined = v.patches // v.rows * v.hidden_size
    for _ in range(1 + DEEP.get(architecture, 0)):
        if architecture.startswith("qwen"):
            yield v.quantization, joined, joined
        yield v.quantization, n.hidden_size, v.hidden_size if architecture == "gemma3" else joined


def _mlp_parts(architecture: str) -> int:
    """Matrices of an encoder's MLP before the last: a gate makes it two."""
    return 2 if architecture == "qwen2_5_vl" else 1


def _seeing_bytes(architecture: str, v: Vision | None) -> int:
    """Of the step that takes a picture in."""
    parts = _mlp_parts(architecture)
    kept = 3 + DEEP.get(architecture, 0)
    return 4 * v.patches * (kept * v.hidden_size + (2 * parts - 1) * v.intermediate_size) if v else 0


def _picture_bytes(architecture: str, n: Numbers) -> int:
    """Of the rows that pictures have become."""
    v = n.vision
    return 4 * n.hidden_size * v.rows * (-(-STEP_ROWS // v.rows) + KEPT_PICTURES) * (1 + DEEP.get(architecture, 0)) if v else 0


def has_more_bits(layer: int, layers: int) -> bool:
    """llama.cpp's choice of the layers whose `v` and `down` are kept better."""
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2


def _row_bytes(kind: str, columns: int) -> int:
    kind = SMALL_BLOCKS.get(kind, kind) if columns % 256 else kind
    kind = "F16" if kind == "Q8_0" and columns % 32 else kind
    return QUANT_TYPES[kind].num_bytes(columns)
