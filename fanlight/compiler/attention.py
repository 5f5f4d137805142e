"""Attention's node as the kernels see it, and how many workgroups share out its positions."""

from dataclasses import replace
from types import ModuleType

from fanlight.compiler.graph import Graph, Node, make, rewrite
from fanlight.compiler.products import has_room, is_few, is_int8, rotation, stride
from fanlight.compiler.target import Target
from fanlight.kernels import attention, attention_append, attention_decode, attention_matrix, attention_prefill
from fanlight.kernels.attention import Attention
from fanlight.kernels.attention_append import Appending

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


def rotate_in_attention(graph: Graph, target: Target) -> Graph:
    """attend(rotate_append(x)) of one row -> one that does it as it begins. (Of several rows of a sequence the later ones see
    keys that others rotate.)"""
    if graph.rows > 1 or not target.may_use(attention_append):
        return graph
    users = graph.users()
    fused = {old: rotate for old in users if old.op == "attend" and (rotate := _rotation_of(target, old, users))}
    late = set(fused.values())

    def rule(node: Node, old: Node) -> Node:
        if node.op == "rotate_append":
            return node.with_(attrs={"is_late": True}) if old in late else node
        return node.with_(attrs={"rotates": True}) if old in fused else node

    return rewrite(graph, rule, "rotate_append", "attend")


def _rotation_of(target: Target, node: Node, users: dict[Node, list[Node]]) -> Node | None:
    """What attention can rotate and append itself, where nothing looks into the cache before."""
    q, cache = node["q"], node["cache"]
    if q.op != "part" or q["x"].op != "rotate_append" or cache.op != "part" or cache["x"] is not q["x"]:
        return None
    rotate = q["x"]
    if users[q] != [node] or users[cache][0] is not node or len(users[rotate]) != 2 or "form" in rotate["x"].attrs:
        return None
    if all(user.op == "finish" for user in users[node]) or module(target, node) is not attention_decode:
        return None
    made, cut = appending(target, node), attention_decode.default_shape(problem(target, node))
    if "epilogue" in rotate.attrs or not attention_append.takes(made, cut):
        return None
    return rotate if target.runs(attention_append.make(made, cut, node.attrs.get("form") == "int8x16")) else None


def appending(target: Target, node: Node) -> Appending:
    """Of attention that begins with its rotation."""
    rotate = node["q"]["x"]
    rope = rotation(target, rotate)
    return Appending(problem(target, node), rope, rotate.attrs.get("head_norm"), stride(rotate["x"]))


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
