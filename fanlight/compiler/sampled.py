"""The ends of a step: what follows its last attention is computed for the rows that are sampled after, few of many or none;
logits go where the sampler finds them."""

from dataclasses import replace

from fanlight.compiler.graph import Graph, Node, make, make_map, rewrite
from fanlight.compiler.ops import CARRIES, KEEPS
from fanlight.compiler.target import Target
from fanlight.kernels.expressions import argument
from fanlight.kernels.gemv import MAX_COLUMNS

ROW_OPS = (
    "linear",
    "norm",
    "map",
    "slice",
    "reorder",
    "route",
    "experts",
    "experts_sum",
    "blend",
    "rescale",
)  # each row of the result is made of the same row of the inputs


def gather_early(graph: Graph, target: Target) -> Graph:
    """gather(f(x)) -> f(gather(x)), as long as nothing else wants f(x)"""
    if graph.rows <= MAX_COLUMNS or not 0 < graph.samples <= MAX_COLUMNS:
        return graph
    movable = _only_gathered(graph)
    made: dict[Node, Node] = {}

    def gathered(x: Node) -> Node:
        if x.op == "weight" or x.is_vector:
            return x
        if x not in made:
            shape = (graph.samples, x.shape[1])
            if x in movable:
                made[x] = replace(x.reading(tuple([gathered(source) for source in x.inputs])), shape=shape)
            else:
                made[x] = make("gather", {"x": x}, shape)
        return made[x]

    return rewrite(graph, lambda node, old: gathered(node["x"]) if node.op == "gather" else node, "gather")


def _only_gathered(graph: Graph) -> set[Node]:
    users: dict[Node, list[Node]] = graph.users()
    found: set[Node] = set()
    for node in reversed(graph.nodes()):
        if node.op in ROW_OPS and all(user.op == "gather" or user in found for user in users[node]):
            found.add(node)
    return found


def finish_early(graph: Graph, target: Target) -> Graph:
    """finish(f(attend(append(x)))) -> finish(attend(append(x))): of a step that samples nothing, what its layers keep is all
    that is wanted. (Attention stays, so that rotation finds q beside k and v; what only `finish` reads is not computed.)"""
    if graph.root.op != "finish":
        return graph
    users = graph.users()
    kept = [node for node in graph.nodes() if node.op in KEEPS | CARRIES]
    ends: list[Node] = []
    needed: set[Node] = set()
    for node in reversed(kept):
        end = next((user for user in users[node] if user.op == "attend"), node)
        if end not in needed:
            ends.append(end)
            needed.update(replace(graph, root=end).nodes())
    slots = {f"kept{i}": node for i, node in enumerate(reversed(ends))}
    return replace(graph, root=replace(graph.root, slots=tuple(slots), inputs=tuple(slots.values())))


def prepare_logits(graph: Graph, target: Target) -> Graph:
    """sample(x) -> sample(penalize(x), rank(x)), x unpadded in the buffer `logits`; it changes when all outputs have been
    copied and what log-probabilities are made of is known"""
    root = graph.root
    if root.op != "sample" or root["x"].op == "penalize":
        return graph
    x = root["x"] if root["x"].op in ("linear", "map", "timestamps") else copied(root["x"])
    x = x.with_(attrs={"form": "logits"})
    outputs = {slot: node for slot, node in zip(root.slots, root.inputs, strict=True) if slot != "x"}
    outputs = {slot: node.with_({"x": x}) if node["x"] is root["x"] else node for slot, node in outputs.items()}
    ranked = replace(make("rank", {"x": x}, x.shape, "logprobs"), where=root.where)
    penalized = replace(make("penalize", {"x": x, "rank": ranked, **outputs}, x.shape, "sample"), where=root.where)
    return replace(graph, root=replace(root, slots=("x", "rank"), inputs=(penalized, ranked)))


def copied(x: Node) -> Node:
    """A map that changes nothing: the value in a buffer of its own."""
    return replace(make_map(argument(0), (x,)), name=x.name, where=x.where)


def copy_slices(graph: Graph, target: Target) -> Graph:
    """gather(slice(x)) -> gather(map(slice(x))): kernels that read whole rows only get a copy"""

    def rule(node: Node, old: Node) -> Node:
        if node.op not in WHOLE_ROWS or not any(source.op == "slice" for source in node.inputs):
            return node
        return node.reading(tuple([copied(source) if source.op == "slice" else source for source in node.inputs]))

    return rewrite(graph, rule, *WHOLE_ROWS)


WHOLE_ROWS = ("attend", "gather", "pool", "rotate_append")
