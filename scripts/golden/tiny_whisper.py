"""Tiny random Whispers, and sounds for them: windows of a second, a vocabulary of bytes, two languages or none.

Drawn and written as tiny_models does, so that every machine builds the same bytes. Sounds are whole numbers of 16 bits, made of
triangles that rise and fall, and of noise. Knows nothing of Fanlight or of PyTorch."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts.golden import tiny_models
from scripts.golden.tiny_models import draw_uniform, draw_words

RATE = 16000
ROWS = 50  # of the encoder: a second
SPECIAL = "<|endoftext|> <|startoftranscript|> <|en|> <|de|> <|translate|> <|transcribe|> <|startoflm|> <|startofprev|>".split()
SPECIAL += ["<|nospeech|>", "<|notimestamps|>"]
STAMPS = [f"<|{i * 0.02:.2f}|>" for i in range(ROWS + 1)]
IDS = {name: 256 + i for i, name in enumerate([*SPECIAL, *STAMPS])}
CONFIG = {
    "architectures": ["WhisperForConditionalGeneration"],
    "model_type": "whisper",
    "vocab_size": 256 + len(IDS),
    "d_model": 64,
    "encoder_layers": 2,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 100,
    "decoder_layers": 2,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 120,
    "num_hidden_layers": 2,
    "num_mel_bins": 80,
    "max_source_positions": ROWS,
    "max_target_positions": 96,
    "activation_function": "gelu",
    "scale_embedding": False,
    "is_encoder_decoder": True,
    "use_cache": True,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "encoder_layerdrop": 0.0,
    "decoder_layerdrop": 0.0,
    "init_std": 0.02,
    "apply_spec_augment": False,
    "classifier_proj_size": 256,
    "median_filter_width": 7,
    "use_weighted_layer_sum": False,
    "torch_dtype": "float32",
    "pad_token_id": IDS["<|endoftext|>"],
    "bos_token_id": IDS["<|endoftext|>"],
    "eos_token_id": IDS["<|endoftext|>"],
    "decoder_start_token_id": IDS["<|startoftranscript|>"],
    "suppress_tokens": [],
    "begin_suppress_tokens": [32, IDS["<|endoftext|>"]],
}
NEVER = [7, 40, 41, 91, *(IDS[name] for name in SPECIAL[1:-1])]
GENERATION = {
    "bos_token_id": IDS["<|endoftext|>"],
    "eos_token_id": IDS["<|endoftext|>"],
    "pad_token_id": IDS["<|endoftext|>"],
    "decoder_start_token_id": IDS["<|startoftranscript|>"],
    "no_timestamps_token_id": IDS["<|notimestamps|>"],
    "prev_sot_token_id": IDS["<|startofprev|>"],
    "suppress_tokens": NEVER,
    "begin_suppress_tokens": [32, IDS["<|endoftext|>"]],
    "max_initial_timestamp_index": 10,
    "is_multilingual": True,
    "lang_to_id": {"<|en|>": IDS["<|en|>"], "<|de|>": IDS["<|de|>"]},
    "task_to_id": {"transcribe": IDS["<|transcribe|>"], "translate": IDS["<|translate|>"]},
    "max_length": 96,
}


@dataclass(frozen=True, slots=True)
class TinyWhisper:
    config: dict[str, Any]
    seed: int = 0  # of the sound


CASES: dict[str, TinyWhisper] = {
    "whisper": TinyWhisper(CONFIG),
    "whisper-128": TinyWhisper(
        {**CONFIG, "num_mel_bins": 128, "encoder_layers": 1, "decoder_layers": 1, "d_model": 96, "num_hidden_layers": 1}
    ),
}


def sound(key: str, num_samples: int) -> np.ndarray:
    """i16 [num_samples]"""
    t = np.arange(num_samples, dtype=np.int64)
    drawn = [int(word % np.uint64(1 << 20)) for word in draw_words(f"sound of {key}", 12)]
    total = (draw_words(f"noise of {key}", num_samples) % np.uint64(1 << 9)).astype(np.int64) - 256
    for a, b, c in zip(drawn[::3], drawn[1::3], drawn[2::3], strict=True):
        period, slow = 20 + a % 180, 2000 + b % 6000
        wave = abs((t * 256 // period) % 512 - 256) - 128
        loudness = abs((t + c) % slow - slow // 2)
        total += wave * loudness * 48 // slow
    return total.astype(np.int16)


def floats(samples: np.ndarray) -> np.ndarray:
    """f32 in [-1, 1)"""
    return samples.astype(np.float32) / np.float32(32768)


# ---- tensors
def shapes_of(config: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    size, encoder, decoder = config["d_model"], "model.encoder", "model.decoder"
    for i, channels in ((1, config["num_mel_bins"]), (2, size)):
        yield f"{encoder}.conv{i}.weight", (size, channels, 3)
        yield f"{encoder}.conv{i}.bias", (size,)
    yield f"{encoder}.embed_positions.weight", (config["max_source_positions"], size)
    yield f"{decoder}.embed_tokens.weight", (config["vocab_size"], size)
    yield f"{decoder}.embed_positions.weight", (config["max_target_positions"], size)
    for part, attentions in ((encoder, ("self_attn",)), (decoder, ("self_attn", "encoder_attn"))):
        kind = part.rpartition(".")[2]
        for i in range(config[f"{kind}_layers"]):
            layer = f"{part}.layers.{i}"
            for attention in attentions:
                for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
                    yield f"{layer}.{attention}.{name}.weight", (size, size)
                    if name != "k_proj":
                        yield f"{layer}.{attention}.{name}.bias", (size,)
                yield from normed(f"{layer}.{attention}_layer_norm", size)
            inner = config[f"{kind}_ffn_dim"]
            for name, shape in (("fc1", (inner, size)), ("fc2", (size, inner))):
                yield f"{layer}.{name}.weight", shape
                yield f"{layer}.{name}.bias", shape[:1]
            yield from normed(f"{layer}.final_layer_norm", size)
        yield from normed(f"{part}.layer_norm", size)


def normed(name: str, size: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (size,)
    yield f"{name}.bias", (size,)


def draw(key: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name.endswith("norm.weight"):
        return np.float32(1.0) + draw_uniform(key, shape, 0.25)
    if name.endswith(".bias"):
        return draw_uniform(key, shape, 0.2)
    if "embed_" in name:
        return draw_uniform(key, shape, 0.5)
    strength = 2.5 if "encoder_attn" in name else 1.4
    return draw_uniform(key, shape, strength / float(np.prod(shape[1:])) ** 0.5)


def make_checkpoint(name: str, folder: str | Path) -> Path:
    config, folder = CASES[name].config, Path(folder)
    tensors = {part: draw(f"{name} {part}", part, shape) for part, shape in shapes_of(config)}
    tiny_models.write_folder(folder, config, 3, tensors, dict.fromkeys(tensors, "F32"))
    for file, document in (("generation_config.json", GENERATION), ("tokenizer.json", tokenizer_json())):
        (folder / file).write_text(json.dumps(document, indent=2, ensure_ascii=False), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "WhisperTokenizer"}))
    return folder


def tokenizer_json() -> dict[str, Any]:
    document = tiny_models.tokenizer_json(3)
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    document["added_tokens"] = [
        {"id": i, "content": content, **flags, "special": content not in STAMPS} for content, i in IDS.items()
    ]
    vocabulary = {token: i for i, token in enumerate(tiny_models.byte_characters())}
    document["model"] = {**document["model"], "vocab": vocabulary, "unk_token": None}
    return document
