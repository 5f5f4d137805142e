"""Whisper.  https://arxiv.org/abs/2212.04356

An encoder hears a window of sound, and its layers see all of it; a decoder writes, and each of its layers attends to what it
has written and to what the encoder heard. LayerNorm before each part, learned positions, an MLP without a gate. Keys have no
bias. `listen` is the encoder's step, whose end is what the decoder's layers keep of it; a row of it is 20 ms."""

from dataclasses import dataclass
from typing import Any

from fanlight.compiler.graph import Node
from fanlight.errors import UnsupportedModel
from fanlight.kernels.attention_kept import MOST_PLACES
from fanlight.kernels.expressions import ACTIVATIONS
from fanlight.models.config import Keys
from fanlight.models.layers import attend, attend_kept, embed, finish_kept, finish_rows, keep, linear, sample, sampled_rows
from fanlight.models.sound.whisper import heard, mlp, norm, projected
from fanlight.models.weights import Weights

PAIRED_IN = ()
GGUF_NAMES: dict[str, str] = {}  # there are no such files
KEYS = {
    "hidden_size": "d_model",
    "max_position_embeddings": "max_target_positions",
    "hidden_act": "activation_function",
}
SIZES = (
    "vocab_size hidden_size encoder_layers encoder_attention_heads encoder_ffn_dim decoder_layers decoder_attention_heads"
    " decoder_ffn_dim num_mel_bins max_source_positions max_position_embeddings"
).split()
OTHERS = (  # of training, of a classifier's head, of timestamps for words; or which stand in the parts' own keys
    "encoder_layerdrop decoder_layerdrop classifier_proj_size median_filter_width forced_decoder_ids"
    " mask_time_prob mask_time_length mask_time_min_masks mask_feature_prob mask_feature_length mask_feature_min_masks"
    " apply_spec_augment dropout"
).split()


@dataclass(frozen=True, slots=True)
class Config:
    """Under Hugging Face's names, but for those that every model has under the same."""

    model_type: str
    vocab_size: int
    hidden_size: int
    encoder_layers: int
    encoder_attention_heads: int
    encoder_ffn_dim: int
    decoder_layers: int
    decoder_attention_heads: int
    decoder_ffn_dim: int
    num_mel_bins: int
    max_source_positions: int  # rows of the encoder's step
    max_position_embeddings: int  # the decoder's
    hidden_act: str
    tie_word_embeddings: bool


def read_config(keys: Keys) -> Config:
    keys.rename(KEYS)
    keys.ignore(*OTHERS)
    keys.only("is_encoder_decoder", True)
    for name in ("scale_embedding", "use_weighted_layer_sum"):
        keys.only(name, False)
    keys.only("tie_word_embeddings", True)
    sizes: dict[str, Any] = {name: keys.number(name) for name in SIZES}
    keys.only("num_hidden_layers", sizes["encoder_layers"])
    for part in ("encoder", "decoder"):
        heads = sizes[f"{part}_attention_heads"]
        if sizes["hidden_size"] % (8 * heads) or sizes["hidden_size"] > 256 * heads:
            message = f"d_model {sizes['hidden_size']} for {heads} heads; expected a multiple of 8 each, at most 256"
            raise UnsupportedModel(message, where=keys.file)
    if sizes["max_source_positions"] > MOST_PLACES:
        message = f"max_source_positions is {sizes['max_source_positions']}; at most {MOST_PLACES} are known"
        raise UnsupportedModel(message, where=keys.file)
    act = keys.choice("hidden_act", ACTIVATIONS, "gelu")
    return Config(model_type=str(keys.model_type), **sizes, hidden_act=act, tie_word_embeddings=True)


# --- the encoder -----------------------------------------------------------------------------------------------------
def listen(config: Config, weights: Weights) -> Node:
    """The step of a window: what each layer of the decoder keeps of it."""
    x = heard(config, weights["model"]["encoder"])
    layers = weights["model"]["decoder"].layers(config.decoder_layers)
    return finish_kept([kept(config, layer["encoder_attn"], x, i) for i, layer in enumerate(layers)])


def kept(config: Config, w: Weights, x: Node, i: int) -> Node:
    k, v = (projected(w, name, x) for name in "kv")
    return keep(k, v, i, config.max_source_positions)


# --- the decoder -----------------------------------------------------------------------------------------------------
def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w, size = weights["model"]["decoder"], config.hidden_size
    x = embed(w["embed_tokens"], rows, config.vocab_size, size)  # [T, C]
    x = x + embed(w["embed_positions"], rows, config.max_position_embeddings, size, index="position")
    for i, layer in enumerate(w.layers(config.decoder_layers)):
        x = x + self_attention(config, layer["self_attn"], norm(config, layer["self_attn_layer_norm"], x), i)
        x = x + hearing(config, layer["encoder_attn"], norm(config, layer["encoder_attn_layer_norm"], x), i)
        x = x + mlp(config, layer, norm(config, layer["final_layer_norm"], x), config.decoder_ffn_dim)
    if not samples:
        return finish_rows(x)
    x = norm(config, w["layer_norm"], sampled_rows(x, samples))  # [B, C]
    return sample(linear(x, w["embed_tokens"], config.vocab_size))


def self_attention(config: Config, w: Weights, x: Node, i: int) -> Node:
    heads = config.decoder_attention_heads
    q, k, v = (projected(w, name, x) for name in "qkv")
    return linear(attend(q, k, v, i, heads, heads), w["out_proj"].biased(True), config.hidden_size)


def hearing(config: Config, w: Weights, x: Node, i: int) -> Node:
    """Attention to what the encoder heard."""
    y = attend_kept(projected(w, "q", x), i, config.decoder_attention_heads, config.max_source_positions)
    return linear(y, w["out_proj"].biased(True), config.hidden_size)
