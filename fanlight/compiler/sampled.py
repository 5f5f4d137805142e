"""What follows a step's last attention is computed for the rows that are sampled after: few of many, or none."""

from dataclasses import replace

from fanlight.compiler.graph import Graph, Node, make, rewrite
from fanlight.compiler.program import Limits
from fanlight.kernels.gemv import MAX_COLUMNS

ROW_SLOTS = {"linear": ("x",), "rms_norm": ("x",), "add": ("x", "y"), "glu": ("gate", "up")}  # operations on rows, each alone


def gather_early(graph: Graph, limits: Limits) -> Graph:
    """gather(f(x)) -> f(gather(x)), as long as nothing else wants f(x)"""
    if graph.rows <= MAX_COLUMNS or not 0 < graph.samples <= MAX_COLUMNS:
        return graph
    movable = _only_gathered(graph)
    made: dict[Node, Node] = {}

    def gathered(x: Node) -> Node:
        if x not in made:
            shape = (graph.samples, x.shape[1])
            if x in movable:
                made[x] = x.with_({slot: gathered(x[slot]) for slot in ROW_SLOTS[x.op]}, shape=shape)
            else:
                made[x] = make("gather", {"x": x}, shape)
        return made[x]

    return rewrite(graph, lambda node: gathered(node["x"]) if node.op == "gather" else node)


def _only_gathered(graph: Graph) -> set[Node]:
    users, found = graph.users(), set()
    for node in reversed(graph.nodes()):
        if node.op in ROW_SLOTS and all(user.op == "gather" or user in found for user in users[node]):
            found.add(node)
    return found


def finish_early(graph: Graph, limits: Limits) -> Graph:
    """finish(f(attend(x))) -> finish(attend(x)): a step that samples nothing leaves the KV cache, and no more"""
    if graph.root.op != "finish":
        return graph
    last = [node for node in graph.nodes() if node.op == "attend"][-1]
    return replace(graph, root=graph.root.with_({"x": last}))
