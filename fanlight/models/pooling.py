"""From the states of a sequence's rows to one vector, or to one score of a pair: pooling, dense layers, the length of 1.

What a model wants comes from its own files: modules.json and the folders that it names (sentence-transformers'), a GGUF file's
`pooling_type`, the head of a ...ForSequenceClassification. A decoder becomes an encoder by `as_encoder`: no cache, all rows of
a sequence in one step."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from fanlight.compiler.graph import Graph, Node, make, rewrite
from fanlight.compiler.signature import POOLED, hidden_of
from fanlight.errors import FormatError, UnsupportedModel
from fanlight.formats.checkpoint import Checkpoint
from fanlight.kernels.expressions import ACTIVATIONS, sigmoid, tanh
from fanlight.models.config import Keys
from fanlight.models.gguf_config import GGUF_TYPES
from fanlight.models.layers import l2_norm, linear, pool
from fanlight.models.weights import Weights

KINDS = ("mean", "cls", "last")
MODES = {"mean": "mean", "cls": "cls", "lasttoken": "last"}  # sentence-transformers' names, newest way
FLAGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "pooling_mode_lasttoken": "last"}
OTHER_FLAGS = ("pooling_mode_max_tokens", "pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens")
GGUF_RANK = 4  # of a cross-encoder; llama.cpp's converter leaves it to who runs it
CLASSIFIER = "ForSequenceClassification"
PREFIX = "torch.nn.modules."  # of PyTorch's names of functions
FUNCTIONS = {
    "linear.Identity": "identity",
    "activation.Tanh": "tanh",
    "activation.GELU": "gelu",
    "activation.Sigmoid": "sigmoid",
}


@dataclass(frozen=True, slots=True)
class Dense:
    """A product after pooling; `name` of its weights."""

    name: str
    in_features: int
    out_features: int
    has_bias: bool
    function: str


@dataclass(frozen=True, slots=True)
class Pooling:
    """kind: which rows make the vector. normalize: its length becomes 1. score: the function of a cross-encoder's one number,
    which stands in the vector's place; '' of a model that gives vectors. longest: tokens of a text, as its makers used it."""

    kind: str
    dense: tuple[Dense, ...] = ()
    normalize: bool = False
    score: str = ""
    longest: int | None = None


def read_pooling(checkpoint: Checkpoint, config: Any, architecture: ModuleType) -> Pooling | None:
    """None of a model that gives tokens."""
    if checkpoint.format == "gguf":
        found = _from_gguf(checkpoint, config, architecture)
    elif (modules := checkpoint.metadata.get("modules")) is not None:
        found = _from_modules(modules, checkpoint)
    else:
        found = _from_head(checkpoint, config, architecture)
    if found is None and (hasattr(architecture, "encode") or getattr(config, "use_bidirectional_attention", False)):
        raise UnsupportedModel(
            f"{config.model_type} is an encoder, and its files do not say how to make one vector of its rows",
            where=checkpoint.sources[0].name,
            hint="a folder with modules.json and 1_Pooling/config.json beside the weights, or a GGUF file with a pooling_type",
        )
    return found


# --- reading ---------------------------------------------------------------------------------------------------------
def _from_gguf(checkpoint: Checkpoint, config: Any, architecture: ModuleType) -> Pooling | None:
    """llama.cpp's vectors have the length 1."""
    metadata, file = checkpoint.metadata, checkpoint.sources[0].name
    name = f"{metadata.get('general.architecture')}.pooling_type"
    value = metadata.get(name, GGUF_RANK if "cls.output.weight" in checkpoint.tensors else 0)
    if value == GGUF_RANK and hasattr(architecture, "score"):
        return _from_gguf_head(checkpoint, config)
    if value not in GGUF_TYPES:
        known = ", ".join(f"{i} ({kind or 'none'})" for i, kind in GGUF_TYPES.items())
        raise UnsupportedModel(f"{name} is {value!r}; known are {known}", where=file)
    kind = GGUF_TYPES[value]
    names = [n for n in ("dense_2", "dense_3") if f"{n}.weight" in checkpoint.tensors]
    shapes = [checkpoint.tensors[f"{n}.weight"].shape for n in names]
    dense = tuple(Dense(n, shape[1], shape[0], False, "identity") for n, shape in zip(names, shapes, strict=True))
    return Pooling(kind, dense, normalize=True) if kind else None


def _from_gguf_head(checkpoint: Checkpoint, config: Any) -> Pooling:
    """Of a cross-encoder. No key names its score's function: the usual one counts, as of a folder that names none."""
    file, tensors = checkpoint.sources[0].name, checkpoint.tensors
    for name in ("cls.output.weight", "cls.weight"):
        if name not in tensors:
            raise UnsupportedModel(
                f"a cross-encoder without {name}: llama.cpp's converter drops BERT's pooler, without which scores mean nothing",
                where=file,
                hint="the model's Hugging Face folder",
            )
    count = tensors["cls.output.weight"].shape[0]
    if count != 1:
        raise UnsupportedModel(f"cls.output.weight has {count} labels; a cross-encoder with one score can run", where=file)
    return Pooling(getattr(config, "classifier_pooling", "cls"), score="sigmoid")


def _from_modules(modules: list[dict[str, Any]], checkpoint: Checkpoint) -> Pooling:
    """A Transformer, a Pooling, then Dense and Normalize."""
    found: Pooling | None = None
    for i, module in enumerate(modules):
        kind, path = module["type"].rpartition(".")[2], module["path"]
        keys = Keys(module["config"], f"{path}/config.json" if path else "modules.json")
        if kind == "Transformer" and i == 0:
            continue
        if kind == "Pooling" and i == 1:
            found = Pooling(_pooling_kind(keys))
        elif kind == "Dense" and found and not found.normalize:
            found = replace(found, dense=(*found.dense, _dense(keys, path)))
        elif kind == "Normalize" and found:
            found = replace(found, normalize=True)
        else:
            raise UnsupportedModel(
                f"module {i} is {module['type']!r}; known are a Transformer, a Pooling, then Dense, then Normalize",
                where="modules.json",
            )
        keys.check_all_read()
    if found is None:
        raise UnsupportedModel("there is no Pooling among the modules", where="modules.json")
    sentence = Keys(checkpoint.metadata.get("sentence_bert_config") or {}, "sentence_bert_config.json")
    sentence.only("do_lower_case", False)
    return replace(found, longest=sentence.optional_number("max_seq_length"))


def _pooling_kind(keys: Keys) -> str:
    for name in ("word_embedding_dimension", "embedding_dimension"):
        keys.optional_number(name)
    keys.only("include_prompt", True)
    for name in OTHER_FLAGS:
        keys.only(name, False)
    chosen = [kind for flag, kind in FLAGS.items() if keys.flag(flag, False)]
    if keys.has("pooling_mode"):
        chosen = [MODES[keys.choice("pooling_mode", MODES)]]
    if len(chosen) != 1:
        raise UnsupportedModel(f"expected one of {', '.join(FLAGS)}, got {len(chosen)} of them", where=keys.file)
    return chosen[0]


def _dense(keys: Keys, path: str) -> Dense:
    keys.ignore("module_input_name", "module_output_name")
    function = function_of(str(keys.choice("activation_function", FUNCTION_NAMES, f"{PREFIX}activation.Tanh")), keys.file)
    sizes = keys.number("in_features"), keys.number("out_features")
    return Dense(f"{path}.linear", *sizes, keys.flag("bias", True), function)


FUNCTION_NAMES = tuple(PREFIX + name for name in FUNCTIONS)


def function_of(name: str, file: str) -> str:
    """Of PyTorch's name of it."""
    known = FUNCTIONS.get(name.removeprefix(PREFIX))
    if known is None:
        raise UnsupportedModel(f"the function {name!r} is not known; known are {', '.join(FUNCTION_NAMES)}", where=file)
    return known


def _from_head(checkpoint: Checkpoint, config: Any, architecture: ModuleType) -> Pooling | None:
    """Of a cross-encoder, which reads a question and a text together."""
    keys = checkpoint.metadata["config"]
    (name, *_) = keys.get("architectures") or [""]
    if not hasattr(architecture, "score") or not str(name).endswith(CLASSIFIER):
        return None
    labels = keys.get("id2label")
    count = len(labels) if isinstance(labels, Mapping) else keys.get("num_labels", 2)
    file = checkpoint.sources[0].name
    if count != 1:
        raise UnsupportedModel(f"{name} with {count} labels; a cross-encoder with one score can run", where=file)
    inner = keys.get("sentence_transformers")
    given = inner.get("activation_fn") if isinstance(inner, Mapping) else None
    given = given or keys.get("sbert_ce_default_activation_function") or f"{PREFIX}activation.Sigmoid"
    return Pooling(getattr(config, "classifier_pooling", "cls"), score=function_of(str(given), file))


# --- the graph -------------------------------------------------------------------------------------------------------
def pooled(
    pooling: Pooling, architecture: ModuleType, config: Any, weights: Weights, rows: int, samples: int, context_length: int
) -> Node:
    """The step's root: one vector for each sequence. [B, C]"""
    if hasattr(architecture, "encode"):
        states = architecture.encode(config, weights, rows, context_length)
    else:
        tied = replace(config, tie_word_embeddings=True)  # the head itself is of no use
        is_causal = not getattr(config, "use_bidirectional_attention", False)
        states = as_encoder(architecture.forward(tied, weights, rows, rows, context_length), rows, is_causal)
    x = pool(states, samples, pooling.kind)
    if pooling.score:
        x = applied(pooling.score, architecture.score(config, weights, x))
    for dense in pooling.dense:
        if dense.in_features != x.shape[1]:
            message = f"{dense.name} reads {dense.in_features} numbers, and gets {x.shape[1]}"
            raise FormatError(message, where="modules.json")
        x = applied(dense.function, linear(x, weights[dense.name].biased(dense.has_bias), dense.out_features))
    return output(l2_norm(x) if pooling.normalize else x)


def applied(function: str, x: Node) -> Node:
    functions = {"identity": lambda x: x, "sigmoid": sigmoid, "tanh": tanh, **ACTIVATIONS}
    return functions[function](x)


def output(x: Node) -> Node:
    return make("output", {"x": x}, x.shape, "pooled", which=POOLED)


def as_encoder(root: Node, rows: int, is_causal: bool) -> Node:
    """sample(head(gather(norm(...)))) of a decoder -> norm(...), all of whose layers see the rows of the step alone. [T, C]"""

    def rule(node: Node, old: Node) -> Node:
        if node.op == "gather":
            return node["x"]
        if node.op == "embed":
            return node.with_(attrs={"index": "given"})
        if node.op != "attend":
            return node
        if "sinks" in node.slots:
            raise UnsupportedModel("attention with sinks is not made bidirectional", where=node.where)
        if "slopes" in node.attrs:
            raise UnsupportedModel("attention with ALiBi is not made one of an encoder", where=node.where)
        a, cache = node.attrs, node["cache"]
        attrs = {name: a[name] for name in ("heads", "kv_heads", "window", "scale", "score")}
        inputs = {"q": node["q"], "k": cache["k"], "v": cache["v"]}
        return replace(make("attend_all", inputs, node.shape, node.name, **attrs, causal=is_causal), where=node.where)

    return rewrite(Graph(hidden_of(root["x"]), rows, rows), rule, "gather", "embed", "attend").root
