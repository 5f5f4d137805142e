"""Tiny random checkpoints of models that take sounds in beside text: an encoder of sound, what follows it, a language model.
Drawn and written as tiny_models does, with sounds as tiny_whisper has them; windows are of 48 rows, not quite a second."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts.golden import tiny_whisper
from scripts.golden.tiny_models import (
    TOKENIZER_CONFIG,
    draw_uniform,
    draw_weight,
    draw_words,
    heads,
    write_documents,
    write_folder,
)
from scripts.golden.tiny_parts import SHARED, SILU, Shapes, default_rope, linear
from scripts.golden.tiny_vision import FIRST_PICTURE_TOKEN, text_shapes, tokenizer_of

ROWS = 48  # of the encoder, in a window
WINDOW = ROWS * 320  # samples
FIRST_TOKEN, VOCAB = FIRST_PICTURE_TOKEN, 288
TOKENS = "[AUDIO] [BEGIN_AUDIO] [INST] [/INST] <|AUDIO|> <|audio_bos|> <|audio_eos|> <|im_start|> <|im_end|>".split()
AUDIO = {"voxtral": FIRST_TOKEN, "qwen2_audio": FIRST_TOKEN + 4}  # the token that stands for a row of a sound
TEXT_IDS = 3, 190
TEXT = {**SHARED, "vocab_size": VOCAB, "rms_norm_eps": 1e-5, **SILU}
LLAMA = {**TEXT, "model_type": "llama", **heads(6, 2, 16), **default_rope(10000.0)}
QWEN2 = {**TEXT, "model_type": "qwen2", "hidden_size": 96, **heads(6, 2), **default_rope(10000.0)}
VOXTRAL_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}[INST]{{ m['content'] }}[/INST]"
    "{% else %}{{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
)
QWEN_TEMPLATE = (
    "{% set n = namespace(value=0) %}{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% if m['content'] is string %}"
    "{{ m['content'] }}{% else %}{% for part in m['content'] %}{% if part['type'] == 'audio' %}{% set n.value = n.value + 1 %}"
    "Audio {{ n.value }}: <|audio_bos|><|AUDIO|><|audio_eos|>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True, slots=True)
class TinyHearing:
    """sounds: lengths of two, in samples. rows: of the language model, that each becomes."""

    config: dict[str, Any]
    shapes: Callable[[dict[str, Any]], Shapes]
    sounds: tuple[int, int]
    rows: tuple[int, int]
    template: str
    about: str = ""

    @property
    def image(self) -> int:
        """The token that stands for a row of a sound, as TinyVision has one of pictures."""
        return AUDIO[self.config["model_type"]]

    @property
    def mels(self) -> int:
        return int(self.config["audio_config"]["num_mel_bins"])


def encoder_shapes(size: int, inner: int, layers: int, mels: int, stem: str) -> Shapes:
    for i, channels in ((1, mels), (2, size)):
        yield f"{stem}.conv{i}.weight", (size, channels, 3)
        yield f"{stem}.conv{i}.bias", (size,)
    yield f"{stem}.embed_positions.weight", (ROWS, size)
    for i in range(layers):
        layer = f"{stem}.layers.{i}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield from linear(f"{layer}.self_attn.{name}", size, size, name != "k_proj")
        for name, shape in (("fc1", (inner, size)), ("fc2", (size, inner))):
            yield from linear(f"{layer}.{name}", *shape, True)
        for name in ("self_attn_layer_norm", "final_layer_norm"):
            yield from tiny_whisper.normed(f"{layer}.{name}", size)
    yield from tiny_whisper.normed(f"{stem}.layer_norm", size)


def voxtral_shapes(config: dict[str, Any]) -> Shapes:
    """As published, which is not as transformers 5 saves it."""
    text, sound = config["text_config"], config["audio_config"]
    yield from text_shapes(text, "language_model.model", "language_model.lm_head")
    sizes = sound["hidden_size"], sound["intermediate_size"], sound["num_hidden_layers"], sound["num_mel_bins"]
    yield from encoder_shapes(*sizes, "audio_tower")
    yield from linear("multi_modal_projector.linear_1", text["hidden_size"], sound["intermediate_size"])
    yield from linear("multi_modal_projector.linear_2", text["hidden_size"], text["hidden_size"])


def qwen2_audio_shapes(config: dict[str, Any]) -> Shapes:
    """As transformers 5 saves it."""
    text, sound = config["text_config"], config["audio_config"]
    yield from text_shapes({**text, "head_dim": 16}, "model.language_model", has_bias=True)
    sizes = sound["d_model"], sound["encoder_ffn_dim"], sound["encoder_layers"], sound["num_mel_bins"]
    yield from encoder_shapes(*sizes, "model.audio_tower")
    yield from linear("model.multi_modal_projector.linear", text["hidden_size"], sound["d_model"], True)


VOXTRAL = {
    "architectures": ["VoxtralForConditionalGeneration"],
    "model_type": "voxtral",
    "audio_token_id": AUDIO["voxtral"],
    "projector_hidden_act": "gelu",
    "hidden_size": LLAMA["hidden_size"],
    "vocab_size": VOCAB,
    "eos_token_id": SHARED["eos_token_id"],
    "text_config": LLAMA,
    "audio_config": {
        "model_type": "voxtral_encoder",
        "hidden_size": 64,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 16,
        "num_mel_bins": 128,
        "max_source_positions": ROWS,
        "activation_function": "gelu",
        "scale_embedding": False,
        "vocab_size": 51866,
    },
}
QWEN2_AUDIO = {
    "architectures": ["Qwen2AudioForConditionalGeneration"],
    "model_type": "qwen2_audio",
    "audio_token_index": AUDIO["qwen2_audio"],
    "ignore_index": -100,
    "vocab_size": VOCAB,
    "eos_token_id": SHARED["eos_token_id"],
    "text_config": QWEN2,
    "audio_config": {
        "model_type": "qwen2_audio_encoder",
        "d_model": 64,
        "encoder_ffn_dim": 100,
        "encoder_layers": 2,
        "encoder_attention_heads": 4,
        "num_mel_bins": 80,
        "max_source_positions": ROWS,
        "activation_function": "gelu",
        "scale_embedding": False,
    },
}
CASES = {
    "voxtral": TinyHearing(
        VOXTRAL,
        voxtral_shapes,
        (WINDOW * 7 // 10, WINDOW * 16 // 10),
        (12, 24),
        VOXTRAL_TEMPLATE,
        about="four rows become one; the second sound has two windows, by the louder of which both are heard",
    ),
    "qwen2_audio": TinyHearing(
        QWEN2_AUDIO,
        qwen2_audio_shapes,
        (WINDOW * 7 // 10, WINDOW * 4 // 10 + 77),
        (17, 10),
        QWEN_TEMPLATE,
        about="the mean of two rows; rows beyond a sound's end are not seen",
    ),
}


def prompt_of(name: str, attempt: int) -> list[int]:
    """Text, a sound, text, another sound, text."""
    case, (first, last) = CASES[name], TEXT_IDS
    drawn = draw_words(f"hearing prompt {attempt} of {name}", 40) >> np.uint64(33)
    text = [first + int(word) % (last - first) for word in drawn]
    one, other = ([case.image] * rows for rows in case.rows)
    return [*text[:9], *one, *text[9:16], *other, *text[16:23]]


def sound_of(name: str, number: int) -> np.ndarray:
    """i16; of a sound of several windows one is far louder than the others. number: an even one is as long as the first."""
    samples = tiny_whisper.sound(f"{name} {number}", CASES[name].sounds[number % 2])
    samples[WINDOW:] //= 50
    return samples


def draw(key: str, part: str, shape: tuple[int, ...]) -> np.ndarray:
    if "audio_tower" in part:
        return tiny_whisper.draw(key, part, shape)
    strength = 4.0 if "multi_modal_projector" in part and len(shape) == 2 else 0.0
    return draw_uniform(key, shape, strength / shape[1] ** 0.5) if strength else draw_weight(key, part, shape)


def tensors_of(name: str) -> dict[str, np.ndarray]:
    case = CASES[name]
    return {part: draw(f"{name}/{part}", part, shape) for part, shape in case.shapes(case.config)}


def make_checkpoint(name: str, folder: str | Path) -> Path:
    """Writes the case as a Hugging Face folder at `folder`, which is made if missing, and returns it."""
    case, tensors = CASES[name], tensors_of(name)
    folder = write_folder(folder, case.config, VOCAB, tensors, dict.fromkeys(tensors, "F32"))
    documents = {
        "tokenizer.json": tokenizer_of(VOCAB, TOKENS),
        "tokenizer_config.json": {**TOKENIZER_CONFIG, "chat_template": case.template},
        "preprocessor_config.json": {
            "feature_extractor_type": "WhisperFeatureExtractor",
            "feature_size": case.mels,
            "sampling_rate": 16000,
            "hop_length": 160,
            "n_fft": 400,
            "padding_value": 0.0,
            "chunk_length": 30,
        },
    }
    return write_documents(folder, documents)


def chat_of(attempt: int) -> list[dict[str, Any]]:
    """A conversation with a sound in it, as transformers' processors take it."""
    about = "".join(chr(97 + int(word % 26)) for word in draw_words(f"heard chat {attempt}", 12) >> np.uint64(33))
    return [{"role": "user", "content": [{"type": "audio", "audio_url": "x"}, {"type": "text", "text": f"What is {about}?"}]}]
