"""The words that model files are written in: each function adds nodes to the graph.  Besides them there are Python's operators
and the functions of kernels/expressions.py (`silu(gate) * up`, `x + y`, `softcap(logits, 30.0)`).

Shape letters: T rows (tokens), B samples, C hidden, F MLP width, H query heads, K KV heads, D head dim, V vocabulary. Heads
lie side by side: [T, H*D]. Nothing here computes; ops.py says in NumPy what each operation means."""

from collections.abc import Sequence
from typing import Any

from fanlight.compiler.graph import Node, make
from fanlight.kernels.expressions import Expr, argument, softcap
from fanlight.kernels.rotary import OF_PATCHES, OF_TEXT
from fanlight.models.rope import Rope
from fanlight.models.weights import Weights

SLOPE, KEY, OWN = argument(1), argument(2), argument(3)  # of a score's head, and the positions of its key and its row
BY_DISTANCE = SLOPE * (KEY - OWN)


def embed(w: Weights, rows: int, vocab_size: int, hidden_size: int, index: str | None = None) -> Node:
    """Row t of the result is the embedding of the step's token t. index: what else of the row chooses the line of the table, as
    encoders need it; one of kernels/embed.py's INDICES. [T, C]"""
    attrs = {} if index is None else {"index": index}
    return make("embed", {"weight": w.matrix(vocab_size, hidden_size)}, (rows, hidden_size), w.name, **attrs)


# --- pictures ---
def patches(vision: Any, has_class: bool = False, side: int = 0) -> Node:
    """The step's picture, a patch a row (kernels/patches.py). vision: a tower's configuration; has_class: with a row more, of
    zeros. side: patches to a side of windows, by which rows are ordered. [T, 3*patch*patch]"""
    (height, width), patch = vision.grid, vision.patch_size
    attrs: dict[str, Any] = {"patch": patch, "grid": (height, width), "merge": vision.merge, "has_class": has_class}
    attrs |= {"side": side} if side else {}
    attrs |= {"both_ways": True} if getattr(vision, "both_ways", False) else {}
    return make("patches", {}, (height * width + has_class, 3 * patch * patch), "patches", **attrs)


def embed_places(w: Weights, rows: int, lines: int, size: int, width: int, first: int = 0) -> Node:
    """Each patch's line of a table, `width` to a row of patches, from line `first` on; line 0 of what is no patch. [T, C]"""
    inputs = {"weight": w.matrix(lines, size)}
    return make("embed", inputs, (rows, size), w.name, index="place", table=(width, first))


def embed_class(w: Weights, rows: int, size: int, kind: str) -> Node:
    """The vector under this name, of that kind, in the row that is no patch; zeros in all others. [T, C]"""
    inputs = {"weight": w.matrix(1, size, kind=kind)}
    return make("embed", inputs, (rows, size), f"{w.name}.{kind}", index="place", table=(0, 1))


def merged(x: Node, count: int) -> Node:
    """`count` rows that stand side by side, as one, as often as there are so many. [T, C] -> [T/count, count*C]"""
    return make("merge", {"x": x}, (x.shape[0] // count, count * x.shape[1]), x.name, count=count)


def mean_of(x: Node, count: int) -> Node:
    """The mean of `count` rows that stand side by side, as often as there are so many; count is a power of two. [T/count, C]"""
    size, x = x.shape[1], merged(x, count)
    while x.shape[1] > size:
        half = x.shape[1] // 2
        x = columns(x, 0, half) + columns(x, half, half)
    return x * (1 / count)


def keep_images(x: Node, merge: int = 0) -> Node:
    """The end of a step that takes a picture in. merge: where its rows are ordered by windows, of how many patches to a side
    each of x was made. [R, C]"""
    return make("keep_images", {"x": x}, x.shape, "images", **({"merge": merge} if merge else {}))


def put_images(x: Node, part: int = 0, parts: int = 1) -> Node:
    """x, but where a row is a picture's what was kept of that, of which there are so many parts; any but the first are added
    to x. [T, C]"""
    attrs = {"part": part, "parts": parts} if parts > 1 else {}
    return make("put_images", {"x": x}, x.shape, "images", **attrs)


def stretch_places(w: Weights, rows: int, size: int, side: int, is_smooth: bool = False) -> Node:
    """Each patch's mix of the lines of a table of side x side places, as if that lay over the picture, corner on corner;
    is_smooth: edge on edge, and of all lines that lie on a patch (kernels/stretch.py). [T, C]"""
    table = w.vector(side * side * size, or_shape=[(side * side, size)])
    more = {"is_smooth": True} if is_smooth else {}
    return make("stretch", {"weight": table}, (rows, size), w.name, side=side, **more)


def linear(x: Node, w: Weights, size: int) -> Node:
    """x W^T (+ bias, where the checkpoint has one), and what LoRAs change. [T, in] -> [T, size]

    A file may have a number beside W that its values are to be multiplied with or divided by: NVFP4's. What a BitNet's W is
    multiplied with is rounded."""
    y = _linear(x, w, size)
    for number, lora, rank, scale in w.loras() if not _is_sampled(x) else ():
        between = make("linear", {"x": x, "weight": lora.whole.matrix(rank, x.shape[1], kind="lora_a")}, (x.shape[0], rank))
        between = between * lora_scale(w, number, between.shape) * scale
        y = y + make("linear", {"x": between, "weight": lora.matrix(size, rank, kind="lora_b")}, y.shape)
    return y


def linear_of_each(x: Node, w: Weights, count: int, size: int) -> Node:
    """x W_i^T of `count` matrices, side by side. [T, in] -> [T, count*size]"""
    inputs = {"x": x, "weight": w.of_experts(count, size, x.shape[1])}
    return make("linear", inputs, (x.shape[0], count * size), w.name)


def _is_sampled(x: Node) -> bool:
    """Whether x has the rows after which tokens are drawn, not the step's: a head reads it, which no LoRA changes."""
    while x.op in ("map", "norm", "slice"):
        x = next(n for n in x.inputs if not n.is_vector)
    return x.op == "gather"


def lora_scale(w: Weights, number: int, shape: tuple[int, ...]) -> Node:
    """By how much each row's sequence asked for a LoRA, in every column: one node for all products of a rank."""
    key = ("lora_scale", number, shape)
    if key not in w.made.nodes:
        w.made.nodes[key] = make("lora_scale", {}, shape, which=number, names=w.names.lora_names)
    return w.made.nodes[key]


def _linear(x: Node, w: Weights, size: int) -> Node:
    number = w.number_beside
    inputs = {"x": w.reordered(rounded_for(w, x) if w.rounds else x)}
    inputs |= {"weight": w.matrix(size, x.shape[1], any_order=True)}
    bias = w.vector(size, "bias") if w.has("bias") else None
    if not number:
        return make("linear", inputs | ({} if bias is None else {"bias": bias}), (x.shape[0], size), w.name)
    y = make("linear", inputs, (x.shape[0], size), w.name)
    y = y / w.whole.scalar(number) if number.endswith("divisor") else y * w.whole.scalar(number)
    return y if bias is None else y + bias


def rounded_for(w: Weights, x: Node) -> Node:
    """`round_rows`, once for all products that read x."""
    key = ("round_rows", x)
    if key not in w.made.nodes:
        w.made.nodes[key] = round_rows(x)
    return w.made.nodes[key]


def blend(x: Node, shares: Node, count: int, also: Node | None = None) -> Node:
    """Values y_j of a row, each a sum of all its x_k, shares_jk times each; `also` is added to all y but the first.
    x [T, K*C], shares [T, count*K], also [T, C] -> [T, count*C]"""
    columns = x.shape[1] // (shares.shape[1] // count)
    inputs = {"x": x, "shares": shares} | ({"also": also} if also is not None else {})
    return make("blend", inputs, (x.shape[0], count * columns), x.name, count=count)


def rescale(x: Node, like: Node, heads: int = 1, kind: str = "rms", least: float = 0.0) -> Node:
    """x times the size of like: the root of its mean square, or its standard 'deviation'. least: each of x's heads has size 1
    before, or less where its own size is below this; 0: x is taken as it is. x [T, H*C], like [T, D] -> [T, H*C]"""
    return make("rescale", {"x": x, "like": like}, x.shape, x.name, kind=kind, heads=heads, least=least)


def route(
    logits: Node,
    top_k: int,
    score: str = "softmax",
    normalize: bool = True,
    scale: float = 1.0,
    eps: float = 0.0,
    groups: int = 1,
    top_groups: int = 1,
    bias: Node | None = None,
    gain: Node | None = None,
) -> Node:
    """Which of E experts each row meets, and by what shares: kernels/route.py. logits [T, E]; bias, gain [E]. [T, 2*top_k]"""
    inputs = {"x": logits} | {slot: n for slot, n in (("bias", bias), ("gain", gain)) if n is not None}
    attrs: dict[str, Any] = {"score": score, "normalize": normalize, "scale": scale, "eps": eps}
    attrs |= {"experts": logits.shape[1], "top_k": top_k, "groups": groups, "top_groups": top_groups}
    return make("route", inputs, (logits.shape[0], 2 * top_k), **attrs)


def experts(x: Node, chosen: Node, w: Weights, size: int, bias: Node | None = None) -> Node:
    """x W_e^T (+ bias) for each of a row's experts e. chosen: of `route`. bias [E*size]. [T, in] -> [T, top_k*size]"""
    count, top_k = chosen.attrs["experts"], chosen.attrs["top_k"]
    inputs = {"x": x, "route": chosen, "weight": w.of_experts(count, size, x.shape[1])}
    inputs |= {"bias": bias} if bias is not None else {}
    return make("experts", inputs, (x.shape[0], top_k * size), w.name, experts=count, top_k=top_k)


def experts_sum(x: Node, chosen: Node, w: Weights, size: int, bias: Node | None = None) -> Node:
    """The sum of x_j W_e^T (+ bias) over a row's experts e, by their shares, where x_j is e's part of x. bias [E*size].
    [T, top_k*in] -> [T, size]"""
    sizes = {name: chosen.attrs[name] for name in ("experts", "top_k")}
    count, top_k = sizes["experts"], sizes["top_k"]
    inputs = {"x": x, "route": chosen, "weight": w.of_experts(count, size, x.shape[1] // top_k)}
    if bias is None:
        return make("experts_sum", inputs, (x.shape[0], size), w.name, **sizes)
    parts = make("experts", {**inputs, "bias": bias}, (x.shape[0], top_k * size), w.name, **sizes, own=True)
    return make("mix", {"x": parts, "route": chosen}, (x.shape[0], size), w.name, **sizes)


def gated_rows(x: Node, logits: Node) -> Node:
    """x * sigmoid(logits), one number for a row: the sum over a single expert that all rows meet. x [T, C]; logits [T, 1]"""
    share = route(logits, 1, score="sigmoid", normalize=False)  # [T, 2]
    return make("mix", {"x": x, "route": share}, x.shape, x.name, experts=1, top_k=1)


def rms_norm(x: Node, weight: Node | None, eps: float, heads: int = 1) -> Node:
    """x / sqrt(mean(x^2) + eps) * weight over the last axis, or over each of `heads` equal parts of it: then one weight [D]
    serves all, or a weight [H*D] each its own.  https://arxiv.org/abs/1910.07467"""
    y = make("norm", {"x": x}, x.shape, weight.name if weight else "", kind="rms", eps=eps, heads=heads)
    return y if weight is None else y * weight


def layer_norm(x: Node, weight: Node | None, bias: Node | None, eps: float, heads: int = 1) -> Node:
    """(x - mean(x)) / sqrt(variance(x) + eps) * weight + bias.  https://arxiv.org/abs/1607.06450"""
    y = make("norm", {"x": x}, x.shape, weight.name if weight else "", kind="layer", eps=eps, heads=heads)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def rope(x: Node, heads: int, table: Rope, growth: tuple[float, int] | None = None, of_patches: bool = False) -> Node:
    """Rotates elements 2i and 2i+1 of each head by position * inv_freq[i] and multiplies them by the table's scale (YaRN);
    elements beyond the table's pairs stay as they are.  https://arxiv.org/abs/2104.09864
    (Hugging Face pairs i with i + R/2; `Weights.paired` delivers those rows side by side.)
    growth: (beta, L) multiplies the whole row by 1 + beta * ln(1 + position // L). of_patches: positions are places of patches
    in a picture, on the axes of the table."""
    attrs: dict[str, Any] = {"heads": heads, "inv_freq": table.inv_freq, "scale": table.scale} | (
        {"growth": growth} if growth else {}
    )
    attrs |= {"axes": table.axes, "by": OF_PATCHES if of_patches else OF_TEXT} if table.axes else {}
    return make("rope", {"x": x}, x.shape, **attrs)


def append(k: Node, v: Node, layer: int, kv_heads: int) -> Node:
    """Appends k [T, K*D] and v [T, K*DV] to the KV cache of `layer`. What comes back stands for the cache after that, for
    `attend_to`: a layer that has none of its own attends to another's."""
    attrs = {"layer": layer, "kv_heads": kv_heads, "head_dim": k.shape[1] // kv_heads, "v_head_dim": v.shape[1] // kv_heads}
    return make("append", {"k": k, "v": v}, (k.shape[0], 0), f"model.layers.{layer}.self_attn", **attrs)


def attend_to(
    q: Node,
    cache: Node,
    heads: int,
    window: int | None = None,
    scale: float | None = None,
    cap: float | None = None,
    sinks: Node | None = None,
    slopes: tuple[float, ...] = (),
    bias: Expr = BY_DISTANCE,
) -> Node:
    """Causal attention of q [T, H*D] over all of the row's sequence in a cache. [T, H*DV]

    window: a token sees itself and window - 1 before it. scale: of the scores, default 1/sqrt(D). cap: `softcap` of the
    scaled scores. sinks [H]: join the softmax's denominator as the score of a position without a value. slopes [H]: what each
    head's scores have added by their positions, as `bias` says.  https://arxiv.org/abs/2108.12409"""
    scale = (q.shape[1] // heads) ** -0.5 if scale is None else scale
    score = None if cap is None else softcap(argument(0), cap)
    score = (score or argument(0)) + bias if slopes else score
    attrs = {**cache.attrs, "heads": heads, "window": window, "scale": scale, "score": score}
    attrs |= {"slopes": slopes} if slopes else {}
    inputs = {"q": q, "cache": cache} | ({"sinks": sinks} if sinks is not None else {})
    shape = (q.shape[0], heads * cache.attrs["v_head_dim"])
    return make("attend", inputs, shape, cache.name, **attrs)


def alibi_slopes(heads: int, most: float = 8.0) -> tuple[float, ...]:
    """2^-(most i / n) of head i = 1 ... n, where n is the largest power of two that is no more than heads; those after them lie
    between these, from the first on."""
    n = 1 << heads.bit_length() - 1
    between = [most * (i - 0.5) / n for i in range(1, heads - n + 1)]
    return tuple(2.0**-x for x in [most * i / n for i in range(1, n + 1)] + between)


def attend(q: Node, k: Node, v: Node, layer: int, heads: int, kv_heads: int, **options: Any) -> Node:
    """`append`, then `attend_to` with its options. [T, H*DV]"""
    return attend_to(q, append(k, v, layer, kv_heads), heads, **options)


def attend_all(
    q: Node,
    k: Node,
    v: Node,
    heads: int,
    kv_heads: int,
    window: int | None = None,
    scale: float | None = None,
    causal: bool = False,
    side: int = 0,
) -> Node:
    """Attention of each row over all rows of its sequence in this step, without a cache: before and after it, or before it
    where causal. window: a token sees window // 2 on each side, or itself and window - 1 before it. side: a patch sees those
    of its window, which has so many to a side, as `patches` is told. [T, H*DV]"""
    shape = (q.shape[0], v.shape[1] // kv_heads * heads)
    scale = (q.shape[1] // heads) ** -0.5 if scale is None else scale
    inputs = {"q": q, "k": k, "v": v}
    attrs: dict[str, Any] = {"heads": heads, "kv_heads": kv_heads, "window": window, "scale": scale, "score": None}
    attrs |= {"side": side} if side else {}
    return make("attend_all", inputs, shape, **attrs, causal=causal)


def convolve(x: Node, w: Weights, layer: int, taps: int) -> Node:
    """Causal convolution of each channel: row t is the sum over j of w_j x_(t-taps+1+j), where rows of earlier steps are what
    the sequence's slot carries for `layer`. w [C, 1, taps] or [C, taps]. [T, C]"""
    inputs = {"x": x, "weight": w.taps(x.shape[1], taps)}
    return make("convolve", inputs, x.shape, w.name, layer=layer, taps=taps)


def delta(
    x: Node, decay: Node, beta: Node, layer: int, key_heads: int, key_dim: int, eps: float, is_dealt: bool = False
) -> Node:
    """The gated delta rule, head by head, of S that the sequence's slot carries for `layer`: S = decay * S, then what S has for
    k, S^T k, moves towards v as far as beta says; the result is S^T q.  https://arxiv.org/abs/2412.06464
    x: queries and keys of K heads, which are brought to length 1, and values of H heads, [T, 2*K*D + H*DV]. decay, beta: [T, H]
    Head h has key h // (H / K); where they are dealt, key h % K. [T, H*DV]"""
    attrs = {"heads": decay.shape[1], "key_heads": key_heads, "key_dim": key_dim, "eps": eps, "is_dealt": is_dealt}
    shape = (x.shape[0], x.shape[1] - 2 * key_heads * key_dim)
    inputs, name = {"x": x, "decays": decay, "betas": beta}, f"model.layers.{layer}.linear_attn"
    return make("delta", inputs, shape, name, layer=layer, **attrs)


def scan(x: Node, dt: Node, bc: Node, a: Node, d: Node, layer: int, groups: int, is_log: bool) -> Node:
    """The recurrence of state space models, kernels/scan.py. x [T, H*P]; dt [T, H]; bc [T, 2*G*N], B of all groups, then C;
    a [H] or [H*N], or ln(-a) where is_log; d [H]. [T, H*P]"""
    attrs: dict[str, Any] = {"layer": layer, "heads": dt.shape[1], "groups": groups, "states": bc.shape[1] // (2 * groups)}
    inputs = {"x": x, "dt": dt, "bc": bc, "a": a, "d": d}
    return make("scan", inputs, x.shape, a.name, **attrs, is_log=is_log)


def shift(x: Node, place: int) -> Node:
    """Of each row what the row before it of its sequence had, of the first one zeros; across steps what the sequence's slot
    carries for `place`, of which each use needs one of its own. [T, C]"""
    return make("shift", {"x": x}, x.shape, x.name, layer=place)


def wkv(rb: Node, w: Node, k: Node, v: Node, ka: Node, layer: int, heads: int) -> Node:
    """RWKV-7's recurrence of S that the sequence's slot carries for `layer`, kernels/wkv.py. rb: r, then b; ka: kappa, then a,
    [T, 2*C]; w, k, v: [T, C]. S r, and beside it v times each head's sum of k b. [T, 2*C]"""
    inputs, name = {"rb": rb, "w": w, "k": k, "v": v, "ka": ka}, f"layers.{layer}.time_mix"
    return make("wkv", inputs, rb.shape, name, layer=layer, heads=heads)


def mel(encoder: Any) -> Node:
    """Log-mel spectrogram of the step's sound, two frames of 10 ms a row; row t has what follows 20 t ms. encoder: its
    configuration. [T, 2*mels]"""
    mels, rows = encoder.num_mel_bins, encoder.max_source_positions
    facts = {name: getattr(encoder, name) for name in ("windows", "ends") if getattr(encoder, name, 0)}
    x = make("mel", {}, (rows, 2 * mels), "mel", mels=mels, **facts)
    return make("level", {"x": x}, x.shape, "mel")


def unfold(even: Node, odd: Node, start: int, taps: int = 3) -> Node:
    """Of frames, which rows of `even` and `odd` are in turn: row t has the frames 2 t + start and on, channel by channel, so
    that a product of it is a convolution over time. even, odd [T, C] -> [T, C*taps]"""
    return make("unfold", {"even": even, "odd": odd}, (even.shape[0], taps * even.shape[1]), taps=taps, start=start)


def keep(k: Node, v: Node, layer: int, places: int) -> Node:
    """Leaves k [T, C] and v [T, C] to `attend_kept` of `layer` in later steps of the slot."""
    return make("keep", {"k": k, "v": v}, (k.shape[0], 0), f"model.layers.{layer}.keep", layer=layer, places=places)


def attend_kept(q: Node, layer: int, heads: int, places: int) -> Node:
    """Attention of q [T, H*D] over all that `keep` left for `layer`. [T, H*D]"""
    scale = (q.shape[1] // heads) ** -0.5
    return make("attend_kept", {"q": q}, q.shape, layer=layer, heads=heads, places=places, scale=scale)


def finish_kept(kept: Sequence[Node]) -> Node:
    """The end of a step that only keeps."""
    return make("finish", {f"kept{i}": node for i, node in enumerate(kept)}, (0,), "finish")


def columns(x: Node, start: int, count: int) -> Node:
    """Columns start to start + count - 1. [T, count]"""
    return make("slice", {"x": x}, (x.shape[0], count), start=start)


def round_rows(x: Node) -> Node:
    """Each row rounded to as many steps as int8 has, by its largest. [T, C]"""
    return make("round_rows", {"x": x}, x.shape)


def pick(x: Node, order: Sequence[int], also: Node | None = None) -> Node:
    """Column c is column order[c] of x, or of x and also as if they lay side by side. [T, len(order)]"""
    inputs = {"x": x} | ({"also": also} if also is not None else {})
    return make("reorder", inputs, (x.shape[0], len(order)), x.name, order=tuple(order))


def of_heads(x: Node, w: Weights, heads: int, size: int) -> Node:
    """Each head's columns times a matrix of its own: experts that every row meets, all of them, in order.
    [T, H*in] -> [T, H*size]"""
    chosen = route(columns(x, 0, heads) * 0.0, heads)  # of equal scores the lower number comes first
    attrs = {"experts": heads, "top_k": heads, "own": True}
    inputs = {"x": x, "route": chosen, "weight": w.of_experts(heads, size, x.shape[1] // heads)}
    return make("experts", inputs, (x.shape[0], heads * size), w.name, **attrs)


def sampled_rows(x: Node, samples: int) -> Node:
    """The rows after which a token is drawn. [T, C] -> [B, C]"""
    return make("gather", {"x": x}, (samples, x.shape[1]))


def pool(x: Node, samples: int, kind: str) -> Node:
    """One vector of each whole sequence of the step: 'mean' of its rows, 'cls' its first, 'last' its last. [T, C] -> [B, C]"""
    return sampled_rows(x, samples) if kind == "last" else make("pool", {"x": x}, (samples, x.shape[1]), kind=kind)


def l2_norm(x: Node) -> Node:
    """x / |x|. [B, C]"""
    return rms_norm(x, None, 1e-24) * x.shape[1] ** -0.5


def sample(logits: Node) -> Node:
    """Draws one token id per row. [B, V] -> [B]"""
    return make("sample", {"x": logits}, (logits.shape[0],), "sample")


def finish_rows(x: Node) -> Node:
    """The end of a step that draws nothing: its result is what its layers keep."""
    return make("finish", {"x": x}, (0,), "finish")
