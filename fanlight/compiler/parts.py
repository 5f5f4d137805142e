"""Where tiles are fewer than a large GPU takes at a time, workgroups share out a product's K (kernels/gemm_matrix.py): what
they leave are parts of sums, which a node of its own adds up, or the norm or the rotation that comes next."""

from dataclasses import replace

from fanlight.compiler.graph import Graph, Node, make, part, rewrite
from fanlight.compiler.products import is_few, module, problems, rotation, share, summed
from fanlight.compiler.target import Target
from fanlight.kernels import add_parts_norm, add_parts_rope, gemm_matrix
from fanlight.kernels.expressions import IDENTITY
from fanlight.kernels.linear import Linear


def share_products(graph: Graph, target: Target) -> Graph:
    """linear(x) -> sum_parts(linear(x)), where K is shared out"""

    if not target.may_use(gemm_matrix) or graph.rows < gemm_matrix.TILE:
        return graph

    def rule(node: Node, old: Node) -> Node:
        if node.op != "linear" or is_few(node) or "form" in node.attrs or "share" in node.attrs:
            return node
        shares = tuple(_share(target, node, p) for p in problems(target, node))
        if not any(shares):
            return node
        if len(shares) > 1:  # each sum goes to its columns of one value
            return node.with_(attrs={"share": shares})
        slots = {slot: node[slot] for slot in node.slots if slot.startswith("epilogue")}
        attrs = {"epilogue": node.attrs["epilogue"]} if "epilogue" in node.attrs else {}
        kept = {slot: node[slot] for slot in node.slots if slot not in slots}
        rest = {name: value for name, value in node.attrs.items() if name != "epilogue"}
        product = make("linear", kept, node.shape, node.name, **rest, form="parts", share=shares)
        product = replace(product, where=node.where)
        return replace(make("sum_parts", {"x": product, **slots}, node.shape, node.name, **attrs), where=node.where)

    return rewrite(graph, rule, "linear")


def _share(target: Target, node: Node, p: Linear) -> int:
    """Turns of K to a workgroup, 0 where each takes a whole tile's."""
    turns = share(target, p) if module(target, node, p) is gemm_matrix else 0
    return turns if turns < gemm_matrix.turns_of(p) else 0


def sum_in_norms(graph: Graph, target: Target) -> Graph:
    """norm(sum_parts(x)) that leaves quantised -> sum_parts_norm(x), whose sum others may want too"""
    users = graph.users()
    norm_of = {node: _norm_of(target, node, users[node]) for node in users if node.op == "sum_parts"}
    if not norm_of:
        return graph

    def rule(node: Node, old: Node) -> Node:
        if node.op == "sum_parts" and (norm := norm_of[old]):
            return part(_sum_norm(node, norm), "sum", node.shape)
        if node.op == "norm" and norm_of.get(old["x"]) is old:
            return part(node["x"]["x"], "normed", node.shape, form="int8x32")
        return node

    return rewrite(graph, rule, "sum_parts", "norm")


def _norm_of(target: Target, node: Node, users: list[Node]) -> Node | None:
    """The first norm of the sum that can add it up."""
    norms = [u for u in users if u.op == "norm" and u.attrs.get("form") == "int8x32"]
    norms = [u for u in norms if all(operand.kind == "column" for operand in (u.attrs.get("epilogue") or IDENTITY).operands)]
    return norms[0] if norms and add_parts_norm.takes(summed(target, node)) else None


def _sum_norm(node: Node, norm: Node) -> Node:
    attrs = dict(node.attrs) | {"kind": norm.attrs["kind"], "eps": norm.attrs["eps"]}
    attrs |= {"norm": norm.attrs["epilogue"]} if "epilogue" in norm.attrs else {}
    inputs = dict(zip(node.slots, node.inputs, strict=True))
    inputs |= {f"norm{i}": operand for i, operand in enumerate(norm.list("epilogue"))}
    return replace(make("sum_parts_norm", inputs, node.shape, node.name, **attrs), where=node.where)


def sum_in_rotation(graph: Graph, target: Target) -> Graph:
    """rotate_append(sum_parts(x)) -> rotate_append(x) that adds up the parts"""
    users = graph.users()

    def rule(node: Node, old: Node) -> Node:
        if node.op != "rotate_append" or node["x"].op != "sum_parts" or users[old["x"]] != [old]:
            return node
        total = node["x"]
        p = replace(summed(target, total), rope=rotation(target, node))
        if not target.runs(add_parts_rope.make(p, *total["x"].attrs["share"], node.attrs.get("head_norm"))):
            return node
        inputs = {slot: total[slot] for slot in total.slots}  # its parts, and what is added to them
        attrs = {"epilogue": total.attrs["epilogue"]} if "epilogue" in total.attrs else {}
        return node.with_(inputs, attrs=attrs)

    return rewrite(graph, rule, "rotate_append")
