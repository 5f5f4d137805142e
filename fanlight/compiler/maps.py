"""Maps into maps: an expression whose result only one other reads becomes part of that one."""

from dataclasses import replace

from fanlight.compiler.graph import Graph, Node, make_map, rewrite
from fanlight.compiler.target import Target
from fanlight.kernels.expressions import argument, substituted

MOST_INPUTS = 6  # of one kernel, which has a result and the step's inputs besides


def fuse_maps(graph: Graph, target: Target) -> Graph:
    """map(map(x), y) -> map(x, y)"""
    ends = _ends(graph)
    inner: set[Node] = set()  # what became of those that end in another, or are vectors

    def rule(node: Node, old: Node) -> Node:
        if node.op != "map":
            return node
        node = joined(node, inner) if not inner.isdisjoint(node.inputs) else node
        if old.is_vector or ends[old] is not old:
            inner.add(node)
        return node

    return rewrite(graph, rule, "map")


def _ends(graph: Graph) -> dict[Node, Node]:
    """The one map that all that read a map end in; else itself."""
    users, ends = graph.users(), dict[Node, Node]()
    for node in reversed(graph.nodes()):
        if node.op == "map":
            found = {ends.get(user) for user in users[node]}
            ends[node] = next(iter(found)) or node if len(found) == 1 else node
    return ends


def joined(node: Node, inner: set[Node]) -> Node:
    """The map with those of its inputs in `inner` written out, as far as one kernel can read all that they read."""
    every = dict.fromkeys(part for source in node.inputs for part in (source.inputs if source in inner else (source,)))
    nodes = list(every) if len(every) <= MOST_INPUTS else [source for source in node.inputs if source not in inner]
    exprs = {source: argument(nodes.index(source)) for source in node.inputs if source not in inner}
    for source in (source for source in node.inputs if source in inner):
        wanted = list(dict.fromkeys([*nodes, *source.inputs]))
        if len(wanted) > MOST_INPUTS:
            nodes.append(source)
            exprs[source] = argument(len(nodes) - 1)
        else:
            nodes = wanted
            exprs[source] = substituted(source.attrs["expr"], [argument(nodes.index(part)) for part in source.inputs])
    made = make_map(substituted(node.attrs["expr"], [exprs[source] for source in node.inputs]), tuple(nodes))
    return replace(made, name=node.name, where=node.where)
