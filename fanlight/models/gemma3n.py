"""Gemma 3n.  https://ai.google.dev/gemma/docs/gemma-3n
Gemma 4's small models, except: heads of all layers are alike and turn as Gemma 3's; a row has several streams, of which a layer
reads and writes one, predicts all and corrects them by what it made of that (AltUp, https://arxiv.org/abs/2301.13310); beside
attention there is a product of low rank (LAuReL, https://arxiv.org/abs/2411.07501); the first layers' gates count far above
their mean only. With models that see and hear beside it, it is nested in `text_config`."""

from fanlight.compiler.graph import Node
from fanlight.kernels.expressions import ACTIVATIONS, relu, softcap, tanh
from fanlight.models import gemma, gemma4, llama
from fanlight.models.gemma3n_config import GGUF_KEYS, GGUF_LISTS, Config, read_config
from fanlight.models.gemma4 import norm
from fanlight.models.layers import blend, columns, layer_norm, linear, linear_of_each, of_heads, pick, rescale
from fanlight.models.weights import Weights

__all__ = ["GGUF_KEYS", "GGUF_LISTS", "GGUF_NAMES", "PAIRED_IN", "Config", "forward", "is_unused", "read_config"]

PAIRED_IN = ()

OF_26B = ("router", "experts", "layernorm_1", "layernorm_2", "layer_scalar")
GGUF_NAMES = {
    **{name: theirs for name, theirs in gemma4.GGUF_NAMES.items() if not any(word in name for word in OF_26B)},
    "model.altup_projections": "altup_proj",
    "model.altup_unembed_projections": "altup_unembd_proj",
    "model.layers.{i}.altup.correct_output_scale": "blk.{i}.altup_correct_scale",
    "model.layers.{i}.altup.correction_coefs": "blk.{i}.altup_correct_coef",
    "model.layers.{i}.altup.prediction_coefs": "blk.{i}.altup_predict_coef",
    "model.layers.{i}.altup.modality_router": "blk.{i}.altup_router",
    "model.layers.{i}.altup.router_norm": "blk.{i}.altup_router_norm",
    "model.layers.{i}.laurel.linear_left": "blk.{i}.laurel_l",
    "model.layers.{i}.laurel.linear_right": "blk.{i}.laurel_r",
    "model.layers.{i}.laurel.post_laurel_norm": "blk.{i}.laurel_post_norm",
}
LEAST = 1e-5**0.5  # a stream's size, where it is made as large as another


def is_unused(config: Config, name: str) -> bool:
    """As Gemma 4's; and scales that the configuration leaves out."""
    is_left_out = not config.has_output_scale and name.endswith(("altup.correct_output_scale", "altup_correct_scale.weight"))
    return is_left_out or gemma4.is_unused(config, name)


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w, cap = gemma.language_model(weights), config.final_logit_softcapping
    x = gemma.embeddings(config, w["embed_tokens"], rows)
    of_layers, streams = gemma4.per_layer_inputs(config, w, x), begin(config, w, x)
    caches: dict[bool, Node] = {}
    for i, layer in enumerate(w.layers(config.num_hidden_layers)):
        predicted = predict(config, layer["altup"], streams)  # [T, N*C]
        y = block(config, layer, stream(config, predicted, config.active), i, caches)
        own = columns(of_layers, i * config.per_layer, config.per_layer)
        streams = correct(config, layer, predicted, y, own)

    def last_norm(config: Config, of_norm: Weights, x: Node) -> Node:
        return norm(config, of_norm, end(config, w, x))

    finish = lambda logits: softcap(logits, cap) if cap else logits  # noqa: E731
    return llama.head(config, w, weights["lm_head"], streams, samples, last_norm, finish)


def stream(config: Config, streams: Node, i: int) -> Node:
    return columns(streams, i * config.hidden_size, config.hidden_size)  # [T, C]


def begin(config: Config, w: Weights, x: Node) -> Node:
    """All streams of an embedding. [T, N*C]"""
    count = config.streams - 1
    others = linear_of_each(x, w["altup_projections"], count, config.hidden_size)  # [T, (N-1)*C]
    return pick(x, range(config.streams * config.hidden_size), rescale(others, x, count, least=LEAST))


def end(config: Config, w: Weights, streams: Node) -> Node:
    """Their mean, the first as it is. [B, C]"""
    first, count = stream(config, streams, 0), config.streams - 1
    others = pick(streams, range(config.hidden_size, config.streams * config.hidden_size))
    others = of_heads(others, w["altup_unembed_projections"], count, config.hidden_size)
    others = rescale(others, first, count, least=LEAST)
    return sum((stream(config, others, i) for i in range(count)), first) * (1 / config.streams)


def modalities(config: Config, w: Weights, x: Node) -> Node:
    normed = norm(config, w["router_norm"], x) * (1 / config.hidden_size)
    return tanh(linear(normed, w["modality_router"], config.streams))  # [T, N]


def predict(config: Config, w: Weights, streams: Node) -> Node:
    made = modalities(config, w, stream(config, streams, config.active))
    return streams + blend(streams, linear(made, w["prediction_coefs"], config.streams**2), config.streams)


def correct(config: Config, w: Weights, predicted: Node, y: Node, own: Node) -> Node:
    """By how far what a layer made, y, is from the stream that it was made of; and by the token's embedding for the layer."""
    of, active = w["altup"], stream(config, predicted, config.active)
    shares = 1.0 + linear(modalities(config, of, y), of["correction_coefs"], config.streams)  # [T, N]
    change = y - active
    x = active + blend(change, columns(shares, config.active, 1), 1)  # [T, C]
    if config.has_output_scale:
        scale = (of["correct_output_scale"], "weight") if of.is_gguf else (of, "correct_output_scale")
        x = x * scale[0].vector(config.hidden_size, scale[1])
    made = norm(config, w["post_per_layer_input_norm"], gemma4.per_layer_mlp(config, w, x, own))
    return predicted + blend(change, shares, config.streams, made)


def block(config: Config, w: Weights, x: Node, i: int, caches: dict[bool, Node]) -> Node:
    normed, of = norm(config, w["input_layernorm"], x), w["laurel"]
    low = linear(linear(normed, of["linear_left"], config.laurel_rank), of["linear_right"], config.hidden_size)
    attended = gemma4.self_attention(config, w["self_attn"], normed, i, caches)
    x = x + norm(config, w["post_attention_layernorm"], attended)
    x = (x + (normed + norm(config, of["post_laurel_norm"], low))) * 2**-0.5
    y = mlp(config, w["mlp"], norm(config, w["pre_feedforward_layernorm"], x), i)
    return x + norm(config, w["post_feedforward_layernorm"], y)


def mlp(config: Config, w: Weights, x: Node, i: int) -> Node:
    size, cut = config.mlp_sizes[i], config.cuts[i]
    gate = linear(x, w["gate_proj"], size)  # [T, F]
    if cut is not None:  # gate - (mean + cut * deviation), where that is above 0
        gate = rescale(relu(layer_norm(gate, None, None, 1e-30) - cut), gate, kind="deviation")
    gated = ACTIVATIONS[config.hidden_act](gate) * linear(x, w["up_proj"], size)
    return linear(gated, w["down_proj"], config.hidden_size)  # [T, C]
