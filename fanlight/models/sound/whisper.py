"""The encoder of sound of Whisper, which Voxtral and Qwen2-Audio have too.  https://arxiv.org/abs/2212.04356

Two convolutions over a log-mel spectrogram, learned positions, pre-norm blocks of attention both ways and an MLP without a
gate. Keys have no bias. A row is 20 ms."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.errors import UnsupportedModel
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.kernels.mel import FRAME, HOP, RATE
from fanlight.models.config import Keys
from fanlight.models.layers import attend_all, columns, embed, layer_norm, linear, mel, unfold
from fanlight.models.weights import Weights

EPS = 1e-5
RENAMED = {  # where a file has Whisper's own names
    "hidden_size": "d_model",
    "intermediate_size": "encoder_ffn_dim",
    "num_hidden_layers": "encoder_layers",
    "num_attention_heads": "encoder_attention_heads",
}
ABSENT = {  # where a file leaves them out
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "num_mel_bins": 128,
    "max_source_positions": 1500,
}
IGNORED = "vocab_size initializer_range layerdrop encoder_layerdrop dropout activation_dropout attention_dropout".split()


@dataclass(frozen=True, slots=True)
class Encoder:
    """merge: rows that become a row of the language model. windows: of a sound, at most; 0: any number. ends: whether rows
    beyond the sound's end are seen by none, and become nothing."""

    hidden_size: int
    encoder_ffn_dim: int
    encoder_layers: int
    encoder_attention_heads: int
    num_mel_bins: int
    max_source_positions: int  # rows of a window
    hidden_act: str
    merge: int
    windows: int = 0
    ends: bool = False


def read_config(keys: Keys, merge: int = 0, windows: int = 0, ends: bool = False) -> Encoder:
    """merge: 0: as a GGUF file says, or as many as the MLP is wider."""
    keys.rename({ours: theirs for ours, theirs in RENAMED.items() if keys.has(theirs)} | {"hidden_act": "activation_function"})
    keys.ignore(*IGNORED)
    keys.only("scale_embedding", False)
    size, inner, layers, heads, mels, rows = (keys.number(name, absent) for name, absent in ABSENT.items())
    keys.only("num_key_value_heads", heads)
    keys.only("head_dim", size // heads)
    merge = merge or keys.number("merge", inner // size)
    if size % (8 * heads) or size > 256 * heads or rows % merge:
        message = (
            f"{keys.name('hidden_size')} {size} for {heads} heads, and {rows} rows of a window; expected a multiple of 8 each,"
            f" at most 256, and a multiple of {merge}"
        )
        raise UnsupportedModel(message, where=keys.file)
    act = keys.choice("hidden_act", ACTIVATIONS, "gelu")
    return Encoder(size, inner, layers, heads, mels, rows, act, merge, windows, ends)


def check_features(given: Mapping[str, Any], encoder: Encoder) -> None:
    """Raises UnsupportedModel where preprocessor_config.json says of sounds what is not so here (kernels/mel.py)."""
    keys = Keys(given, "preprocessor_config.json")
    keys.ignore("processor_class", "chunk_length", "n_samples", "nb_max_frames", "mel_filters", "return_attention_mask")
    facts = {"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": encoder.num_mel_bins}
    facts |= {"sampling_rate": RATE, "hop_length": HOP, "n_fft": FRAME, "dither": 0.0}
    for name, value in {**facts, "padding_side": "right", "padding_value": 0.0}.items():
        keys.only(name, value)
    keys.check_all_read()


def heard(config: Any, w: Weights) -> Node:
    """The states of a window's rows, normalised. [T, C]"""
    return norm(config, w["layer_norm"], states(config, w))


def states(config: Any, w: Weights) -> Node:
    rows, size, heads = config.max_source_positions, config.hidden_size, config.encoder_attention_heads
    x = convolutions(config, w)
    x = x + embed(w["embed_positions"], rows, rows, size, index="position")
    for layer in w.layers(config.encoder_layers):
        part, y = layer["self_attn"], norm(config, layer["self_attn_layer_norm"], x)
        q, k, v = (projected(part, name, y) for name in "qkv")
        x = x + linear(attend_all(q, k, v, heads, heads), part["out_proj"].biased(True), size)
        x = x + mlp(config, layer, norm(config, layer["final_layer_norm"], x), config.encoder_ffn_dim)
    return x


def convolutions(config: Any, w: Weights) -> Node:
    """Over three frames of 10 ms, then over three of what that gives, at every other. [T, C]"""
    mels, size, act = config.num_mel_bins, config.hidden_size, ACTIVATIONS[config.hidden_act]
    x = mel(config)  # [T, 2*M]
    even, odd = columns(x, 0, mels), columns(x, mels, mels)
    first, second = (w[name].over_time(n, 3).biased(True) for name, n in (("conv1", mels), ("conv2", size)))
    even, odd = (act(linear(unfold(even, odd, start), first, size)) for start in (-1, 0))
    return act(linear(unfold(even, odd, -1), second, size))


def projected(w: Weights, name: str, x: Node) -> Node:
    return linear(x, w[f"{name}_proj"].biased(name != "k"), x.shape[1])


def norm(config: Any, w: Weights, x: Node) -> Node:
    return layer_norm(x, w.vector(config.hidden_size), w.vector(config.hidden_size, "bias"), EPS)


def mlp(config: Any, w: Weights, x: Node, inner: int) -> Node:
    x = ACTIVATIONS[config.hidden_act](linear(x, w["fc1"].biased(True), inner))
    return linear(x, w["fc2"].biased(True), config.hidden_size)
