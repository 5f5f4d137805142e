"""Attention's node as the kernels see it, and how many workgroups share out its positions."""

from dataclasses import replace
from types import ModuleType

from fanlight.compiler.graph import Graph, Node, make, rewrite
from fanlight.compiler.products import has_room, is_few, is_int8
from fanlight.compiler.target import Target
from fanlight.kernels import attention, attention_decode, attention_matrix, attention_prefill
from fanlight.kernels.attention import Attention

MOST_JOINED_SPLITS = 4  # every workgroup of the reader reads all of them
LONG_CONTEXT = 4096


def problem(target: Target, node: Node) -> Attention:
    a = node.attrs
    splits = a.get("splits", 1)
    kv, rows = target.kv_layout(node), node.shape[0]
    more = "sinks" in node.slots, "slopes" in a
    return Attention(rows, a["heads"], kv, target.rows_at, splits, a["window"], a["score"], *more)


def module(target: Target, node: Node) -> ModuleType:
    """The kernel that computes it."""
    p = problem(target, node)
    if node.attrs.get("form") == "int8x32":
        return attention_matrix
    if is_few(node):
        return attention_decode if attention_decode.takes(p) and target.may_use(attention_decode) else attention
    fits = attention_prefill.takes(p, target.limits.max_compute_workgroup_storage_size)
    return attention_prefill if fits and target.may_use(attention_prefill) else attention


def split_attention(graph: Graph, target: Target) -> Graph:
    """attend of few rows -> one whose positions several workgroups share out; its readers join the parts, or `join` does"""
    users = graph.users()

    def rule(node: Node, old: Node) -> Node:
        if node.op != "attend" or not is_few(node) or "form" in node.attrs or module(target, node) is not attention_decode:
            return node
        splits = num_splits(target)
        quantizes = all_quantize(target, old, users[old])
        if splits == 1:
            made = node.with_(attrs={"form": "int8x16"})
            return made if quantizes and all_have_room(target, made, users[old]) else node
        made = node.with_(attrs={"form": "splits", "splits": splits})
        if splits <= MOST_JOINED_SPLITS and quantizes and all_have_room(target, made, users[old]):
            return made
        if all(user.op == "finish" for user in users[old]):
            return node
        return replace(make("join", {"x": made}, node.shape, node.name), where=node.where)

    return rewrite(graph, rule, "attend")


def all_quantize(target: Target, node: Node, users: list[Node]) -> bool:
    """Whether all that read the value are products of few rows that would quantise it as it is."""
    return bool(users) and all(
        is_few(u) and is_int8(target, u) and u["x"] is node and u.inputs.count(node) == 1 and "prologue" not in u.attrs
        for u in users
    )


def all_have_room(target: Target, x: Node, users: list[Node]) -> bool:
    """Whether the products of few rows can bind all that they read, if they read x: some forms are in two buffers."""
    return all(has_room(target, user.with_({"x": x})) for user in users)


def num_splits(target: Target) -> int:
    """Workgroups that share one row's positions: enough to fill a large GPU, none shorter than a tile."""
    wanted = MOST_JOINED_SPLITS if target.context_length <= LONG_CONTEXT else 16
    return max(1, min(wanted, target.context_length // attention.TILE))
