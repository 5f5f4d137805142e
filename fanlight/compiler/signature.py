"""A step's signature: what of its record it reads, and what it gives.

A value that is asked for by name gets an `output` node, which leaves it in a buffer of its own: the sampler changes logits in
place, and memory of other values is used again."""

from dataclasses import replace

from fanlight.compiler.graph import Graph, Node, make
from fanlight.compiler.ops import CARRIES
from fanlight.compiler.program import INPUTS, LOGPROB_WORDS, Output
from fanlight.errors import UnsupportedModel

SAMPLED, LOGITS, HIDDEN, LOGPROBS = "sampled", "logits", "hidden", "logprobs"
POOLED = "pooled"  # what an encoder's steps give, and nothing else: f32 [B, C]
OUTPUTS = (SAMPLED, LOGITS, HIDDEN)
PLACES = ("positions", "slots")
READS = {  # of the step's record, by the kernels of these operations
    "embed": ("tokens", "slots"),
    "patches": ("tokens", "pixels"),
    "put_images": ("images",),
    "stretch": ("tokens",),
    "rope": ("positions",),
    **dict.fromkeys(("append", "rotate_append", "linear_rotate", "attend", "attend_all", *CARRIES), PLACES),
    **dict.fromkeys(("gather", "rank", "penalize", "sample"), ("samples",)),
    "pool": ("positions", "samples"),
    "lora_scale": ("slots",),
    "timestamps": ("tokens", "slots", "samples"),
}


def check_outputs(names: tuple[str, ...]) -> None:
    if unknown := [name for name in names if name not in OUTPUTS]:
        raise UnsupportedModel(f"a step gives no {', '.join(unknown)}; expected outputs are {', '.join(OUTPUTS)}")
    if SAMPLED not in names:
        raise UnsupportedModel(f"expected '{SAMPLED}' among a step's outputs, got {names}")


def with_outputs(graph: Graph, names: tuple[str, ...]) -> Graph:
    """sample(x) -> sample(x, output(...)...): of the sampled rows, logits as the model gives them, and the hidden states that
    its head makes them of. A step that samples nothing gives nothing."""
    wanted = [name for name in OUTPUTS if name in names and name != SAMPLED]
    root = graph.root
    if wanted and root.op == "output":
        raise UnsupportedModel(f"a step of an encoder gives {POOLED}, and no {', '.join(wanted)}")
    if root.op != "sample" or not wanted:
        return graph
    values = [(root["x"] if name == LOGITS else hidden_of(root["x"]), name) for name in wanted]
    return replace(graph, root=root.with_({f"output{i}": _output(x, name) for i, (x, name) in enumerate(values)}))


def _output(x: Node, name: str) -> Node:
    return replace(make("output", {"x": x}, x.shape, x.name, which=name), where=x.where)


def hidden_of(logits: Node) -> Node:
    """What the head's product reads; what is done to each logit after it does not matter."""
    node = logits
    while node.op == "map" and len(values := [n for n in node.inputs if not n.is_vector]) == 1:
        (node,) = values
    if node.op != "linear":
        raise UnsupportedModel(f"expected logits of one product, got {node.op}: there are no hidden states", where=logits.where)
    return node["x"]


def inputs_of(graph: Graph) -> tuple[str, ...]:
    """Names out of INPUTS."""
    read = {name for node in graph.nodes() for name in READS.get(node.op, ())}
    read |= {"samples"} if any(node.attrs.get("is_sampled") for node in graph.nodes()) else set()
    return tuple(name for name in INPUTS if name in read)


def outputs_of(graph: Graph) -> tuple[Output, ...]:
    sampled = [Output(SAMPLED, SAMPLED, "u32", (graph.samples,))] if graph.root.op == "sample" else []
    sampled += [Output(LOGPROBS, LOGPROBS, "f32", (graph.samples, LOGPROB_WORDS))] if "rank" in graph.root.slots else []
    nodes = [node for node in graph.nodes() if node.op == "output"]
    return (*sampled, *(Output(n.attrs["which"], output_buffer(n), "f32", n.shape) for n in nodes))


def output_buffer(node: Node) -> str:
    return f"output.{node.attrs['which']}"
