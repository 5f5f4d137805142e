"""Tiny random GGUF files, one per weight format, for comparing Fanlight with llama.cpp.

Quantised weights are random blocks: uniform codes under half-precision scales that give the weights a sane spread.  Every bit
of a block so takes part, and no quantiser is needed; Q6_K scales come out subnormal in half precision, as often in real files.
Drawn as tiny_models draws, so every machine builds the same tensors.  Needs NumPy and the `gguf` package (the writer,
and the dequantiser for `weights_of`); knows nothing of Fanlight."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import gguf
import numpy as np

from scripts.golden.forward import Decoder, Product, exact_product, rope_frequencies
from scripts.golden.tiny_models import TOKENIZER_CONFIG, byte_characters, draw_uniform, draw_words

EOS_TOKEN_ID = 2


@dataclass(frozen=True, slots=True)
class BlockLayout:
    """Where the f16 scales of a block lie, and which scale makes weights of deviation 1 and mean 0 from uniform codes."""

    block_elems: int
    block_bytes: int
    scale_at: int
    std_at_one: float  # deviation of the weights under scale 1
    offset_at: int | None = None  # of the second f16, which shifts the weights
    offset_per_scale: float = 0.0  # its ratio to the first that centres them


BLOCKS: dict[str, BlockLayout] = {
    "Q4_0": BlockLayout(32, 18, 0, 4.6),
    "Q4_1": BlockLayout(32, 20, 0, 4.6, 2, -7.5),
    "Q5_0": BlockLayout(32, 22, 0, 9.2),
    "Q5_1": BlockLayout(32, 24, 0, 9.2, 2, -15.5),
    "Q8_0": BlockLayout(32, 34, 0, 74.0),
    "Q2_K": BlockLayout(256, 84, 80, 13.9, 82, 1.5),
    "Q3_K": BlockLayout(256, 110, 108, 43.3),
    "Q4_K": BlockLayout(256, 144, 0, 258.0, 2, 7.5),
    "Q5_K": BlockLayout(256, 176, 0, 527.0, 2, 15.5),
    "Q6_K": BlockLayout(256, 210, 208, 1365.0),
}
FLOATS = ("F32", "F16", "BF16")


@dataclass(frozen=True, slots=True)
class TinyGguf:
    architecture: str
    weight_format: str
    formats: dict[str, str] = field(default_factory=dict)  # part -> format, where it is not weight_format
    hidden_size: int = 256
    intermediate_size: int = 512
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    head_dim: int = 64
    vocab_size: int = 331
    num_hidden_layers: int = 2
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-5
    is_tied: bool = False
    has_rope_freqs: bool = False

    @property
    def rope_factors(self) -> np.ndarray:
        """What a Llama 3.x file carries as rope_freqs.weight: 1 for the fast turns, rising to 8 for the slow ones."""
        return np.clip(np.arange(self.head_dim // 2, dtype=np.float32) - 3, 1, 8)


CASES: dict[str, TinyGguf] = {f"llama-{name}": TinyGguf("llama", name) for name in (*FLOATS, *BLOCKS)} | {
    "llama-Q4_K_M": TinyGguf("llama", "Q4_K", {"attn_v": "Q6_K", "ffn_down": "Q6_K", "output": "Q6_K"}),
    "llama-narrow-Q4_0": TinyGguf(
        "llama", "Q4_0", {"output": "Q8_0"}, hidden_size=96, intermediate_size=160, num_attention_heads=3, num_key_value_heads=1
    ),
    "llama-rope-freqs-Q8_0": TinyGguf("llama", "Q8_0", rope_theta=500000.0, is_tied=True, has_rope_freqs=True),
    "qwen2-Q8_0": TinyGguf("qwen2", "Q8_0", num_key_value_heads=1, rope_theta=1000000.0, rms_norm_eps=1e-6),
    "qwen3-Q8_0": TinyGguf(
        "qwen3", "Q8_0", num_key_value_heads=1, head_dim=128, rope_theta=1000000.0, rms_norm_eps=1e-6, is_tied=True
    ),
}

# GGUF's part of a name -> Hugging Face's
LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TOP_NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head", "rope_freqs": "rope_freqs"}


# ---- tensors


def tensor_shapes(case: TinyGguf) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every tensor under its GGUF name, shape outermost first."""
    yield "token_embd.weight", (case.vocab_size, case.hidden_size)
    for layer in range(case.num_hidden_layers):
        for part, shape in layer_shapes(case):
            yield f"blk.{layer}.{part}", shape
    yield "output_norm.weight", (case.hidden_size,)
    if not case.is_tied:
        yield "output.weight", (case.vocab_size, case.hidden_size)


def layer_shapes(case: TinyGguf) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden, mlp = case.hidden_size, case.intermediate_size
    query, key_value = case.num_attention_heads * case.head_dim, case.num_key_value_heads * case.head_dim
    yield "attn_norm.weight", (hidden,)
    for part, rows in (("attn_q", query), ("attn_k", key_value), ("attn_v", key_value)):
        yield f"{part}.weight", (rows, hidden)
        if case.architecture == "qwen2":
            yield f"{part}.bias", (rows,)
    if case.architecture == "qwen3":
        yield "attn_q_norm.weight", (case.head_dim,)
        yield "attn_k_norm.weight", (case.head_dim,)
    yield "attn_output.weight", (hidden, query)
    yield "ffn_norm.weight", (hidden,)
    yield "ffn_gate.weight", (mlp, hidden)
    yield "ffn_up.weight", (mlp, hidden)
    yield "ffn_down.weight", (hidden, mlp)


def draw_blocks(key: str, layout: BlockLayout, shape: tuple[int, int], std: np.ndarray) -> np.ndarray:
    """u8 [rows, bytes of a row]: random codes; scales spread by a third, of both signs where no offset must match them."""
    num_blocks = shape[0] * shape[1] // layout.block_elems
    words = draw_words(f"{key}/codes", -(-num_blocks * layout.block_bytes // 8))
    blocks = (
        words.astype("<u8").view(np.uint8)[: num_blocks * layout.block_bytes].reshape(num_blocks, layout.block_bytes).copy()
    )
    spread = 1 + draw_uniform(f"{key}/scales", (num_blocks,), 0.2)
    scale = spread * np.repeat(std, num_blocks // shape[0]) / np.float32(layout.std_at_one)
    if layout.offset_at is None:
        scale = np.where(draw_words(f"{key}/signs", num_blocks) >> np.uint64(63), -scale, scale)
    else:
        put_f16(blocks, layout.offset_at, scale * np.float32(layout.offset_per_scale))
    put_f16(blocks, layout.scale_at, scale)
    return blocks.reshape(shape[0], -1)


def put_f16(blocks: np.ndarray, offset: int, values: np.ndarray) -> None:
    blocks[:, offset : offset + 2] = values.astype("<f2").view(np.uint8).reshape(-1, 2)


def offsets_of(stored: np.ndarray, weight_format: str) -> np.ndarray:
    """f64 [rows, blocks of a row]: the second f16 of every block."""
    layout = BLOCKS[weight_format]
    blocks = stored.reshape(len(stored), -1, layout.block_bytes)
    return np.ascontiguousarray(blocks[..., layout.offset_at : layout.offset_at + 2]).view("<f2")[..., 0].astype(np.float64)


def std_of(case: TinyGguf, key: str, part: str, shape: tuple[int, ...]) -> np.ndarray:
    """f32 [rows]. A few rows of the head are long, which spreads the largest logits out: greedy choices become clear-cut.
    A tied head is smaller, lest a token's embedding outweigh the layers and the model repeat it."""
    if part not in ("token_embd", "output"):
        return np.full(shape[0], 1.4 / shape[1] ** 0.5, np.float32)
    unit = np.abs(draw_uniform(f"{key}/rows", shape[:1], 3**-0.5))  # in [0, 1]
    return np.float32(0.05 if case.is_tied else 0.15) * (1 + 3 * unit * unit * unit * unit)


def make_tensors(name: str) -> dict[str, tuple[str, np.ndarray]]:
    """GGUF name -> format and stored values (u8 rows for blocks and BF16)."""
    case = CASES[name]
    tensors: dict[str, tuple[str, np.ndarray]] = {}
    for tensor, shape in tensor_shapes(case):
        part, kind = tensor.split(".")[-2:]
        key = f"{name}/{tensor}"
        if kind == "bias":
            tensors[tensor] = "F32", draw_uniform(key, shape, 0.4)
        elif part.endswith("norm"):
            tensors[tensor] = "F32", np.float32(1) + draw_uniform(key, shape, 0.25)
        else:
            tensors[tensor] = draw_matrix(
                key, case.formats.get(part, case.weight_format), shape, std_of(case, key, part, shape)
            )
    if case.has_rope_freqs:
        tensors["rope_freqs.weight"] = "F32", case.rope_factors
    return tensors


def draw_matrix(key: str, weight_format: str, shape: tuple[int, ...], std: np.ndarray) -> tuple[str, np.ndarray]:
    if weight_format in BLOCKS:
        return weight_format, draw_blocks(key, BLOCKS[weight_format], shape, std)
    return weight_format, gguf.quants.quantize(
        draw_uniform(key, shape, 1.0) * std[:, None], gguf.GGMLQuantizationType[weight_format]
    )


def weights_of(name: str) -> dict[str, np.ndarray]:
    """The case's weights, dequantised by the gguf package, f32, under Hugging Face names."""
    return {
        huggingface_name(tensor): gguf.quants.dequantize(stored, gguf.GGMLQuantizationType[weight_format])
        for tensor, (weight_format, stored) in make_tensors(name).items()
    }


def huggingface_name(tensor: str) -> str:
    *layer, part, kind = tensor.split(".")
    return f"model.layers.{layer[1]}.{LAYER_NAMES[part]}.{kind}" if layer else f"{TOP_NAMES[part]}.{kind}"


def decoder_of(name: str, product: Product = exact_product) -> Decoder:
    case = CASES[name]
    inv_freq = rope_frequencies(case.rope_theta, case.head_dim)
    return Decoder(
        case.num_hidden_layers,
        case.num_attention_heads,
        case.num_key_value_heads,
        case.head_dim,
        case.rms_norm_eps,
        inv_freq / case.rope_factors if case.has_rope_freqs else inv_freq,
        rope_is_interleaved=case.architecture == "llama",
        product=product,
    )


def digest_of(name: str) -> str:
    """SHA-256 over the tensors, whatever the writer's version puts around them."""
    digest = hashlib.sha256()
    for tensor, (weight_format, stored) in make_tensors(name).items():
        digest.update(f"{tensor} {weight_format} {stored.shape}\n".encode() + stored.tobytes())
    return digest.hexdigest()


# ---- files


def add_sentencepiece(writer: gguf.GGUFWriter, vocab_size: int) -> None:
    """Llama 2's kind of vocabulary: specials, the 256 bytes, then pieces with scores."""
    pieces = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)]
    pieces += [(f"<0x{byte:02X}>", 0.0, 6) for byte in range(256)]
    words = ["▁", *"etaoinshrdlucmfwygpbvkxqjz.,!?", "▁t", "he", "▁the", "in", "er", "an", "▁a", "on", "▁an", "▁and"]
    words += [f"spare{i}" for i in range(vocab_size - len(pieces) - len(words))]
    pieces += [(word, -float(i), 1) for i, word in enumerate(words)]
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([text for text, _, _ in pieces])
    writer.add_token_scores([score for _, score, _ in pieces])
    writer.add_token_types([kind for _, _, kind in pieces])
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)


def add_byte_pairs(writer: gguf.GGUFWriter, vocab_size: int) -> None:
    """Qwen's kind of vocabulary: the 256 bytes, merged pairs, specials."""
    merges = ["t h", "th e", "Ġ t", "i n", "e r", "a n", "an d", "Ġ a", "Ġt he", "o n"]
    merged = [pair.replace(" ", "") for pair in merges]
    texts = [
        "!pad",
        "<|im_start|>",
        "<|im_end|>",
        *byte_characters(),
        *merged,
    ]  # the specials' ids equal those of the other kind
    kinds = [5, 3, 3] + [1] * (len(texts) - 3) + [5] * (vocab_size - len(texts))
    texts += [f"[PAD{i}]" for i in range(len(texts), vocab_size)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(texts)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_add_bos_token(False)


VOCABULARIES = {"llama": add_sentencepiece, "qwen2": add_byte_pairs, "qwen3": add_byte_pairs}


def make_gguf(name: str, path: str | Path) -> Path:
    """Writes the case as a GGUF file at `path` and returns it."""
    case, path = CASES[name], Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, case.architecture)
    writer.add_name(f"tiny {name}")
    writer.add_context_length(512)
    writer.add_embedding_length(case.hidden_size)
    writer.add_block_count(case.num_hidden_layers)
    writer.add_feed_forward_length(case.intermediate_size)
    writer.add_head_count(case.num_attention_heads)
    writer.add_head_count_kv(case.num_key_value_heads)
    writer.add_key_length(case.head_dim)
    writer.add_value_length(case.head_dim)
    writer.add_rope_dimension_count(case.head_dim)
    writer.add_rope_freq_base(case.rope_theta)
    writer.add_layer_norm_rms_eps(case.rms_norm_eps)
    writer.add_vocab_size(case.vocab_size)
    VOCABULARIES[case.architecture](writer, case.vocab_size)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(EOS_TOKEN_ID)
    writer.add_chat_template(TOKENIZER_CONFIG["chat_template"])
    for tensor, (weight_format, stored) in make_tensors(name).items():
        writer.add_tensor(tensor, stored, raw_dtype=gguf.GGMLQuantizationType[weight_format])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
