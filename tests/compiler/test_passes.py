"""Every pass keeps the meaning of a graph, does nothing the second time, and leaves what the next stage needs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanlight.compiler import PASSES, run_passes
from fanlight.compiler.graph import Graph, Piece, Weight, make, print_graph
from fanlight.compiler.ops import OPS, check_graph, evaluate
from fanlight.compiler.program import Limits
from fanlight.compiler.select import KERNELS, NO_LAUNCH
from fanlight.compiler.target import Target
from fanlight.kernels import gemm_matrix
from fanlight.kernels.expressions import silu
from fanlight.models import layers
from fanlight.models.rope import Rope
from tests.compiler.graphs import VOCAB, Book, random_graph
from tests.compiler.models import Shape, make_model, read_weight

CONTEXT = 256
MATRICES = Limits(max_compute_workgroup_storage_size=48 << 10, features=frozenset(gemm_matrix.FEATURES))
TARGETS = {
    "integers": Target(Limits(), CONTEXT),
    "floats": Target(Limits(), CONTEXT, activations="f32"),
    "long": Target(Limits(), 1 << 16),
    "small buffers": Target(Limits(max_storage_buffer_binding_size=40 << 10, max_buffer_size=40 << 10), CONTEXT),
    "matrices": Target(MATRICES, CONTEXT),
    "ten buffers": Target(Limits(max_storage_buffers_per_shader_stage=10), 4096),
}

shapes = st.builds(
    lambda kind, layers, kv, group, dim, hidden, mlp, vocab, tied, bias, window: Shape(
        kind, layers, kv * group, kv, dim, hidden, mlp, vocab, tied, bias, window
    ),
    st.sampled_from(["llama", "mistral", "qwen2", "qwen3"]),
    st.integers(1, 3),
    st.integers(1, 2),
    st.sampled_from([1, 3, 4]),
    st.sampled_from([8, 16]),
    st.sampled_from([20, 64]),
    st.sampled_from([30, 96]),
    st.sampled_from([5, 60, 400]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, 3]),
)


def close(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-8, atol=1e-10)


def keeps_its_meaning(graph: Graph, target: Target, tokens: list[int], read) -> None:
    """After each pass, and after it once more."""
    check_graph(graph, "the model")
    truth = evaluate(graph, tokens, read)
    for name, run in PASSES:
        graph = run(graph, target)
        check_graph(graph, name)
        assert close(evaluate(graph, tokens, read), truth), f"{name}:\n{print_graph(graph)}"
        again = run(graph, target)
        assert print_graph(again).count("\n") == print_graph(graph).count("\n"), f"{name}, run twice"
    assert {node.op for node in graph.nodes()} <= {*KERNELS, *NO_LAUNCH}


@settings(max_examples=8, deadline=None)
@given(
    shape=shapes,
    rows=st.sampled_from([1, 3, 8, 9, 12]),
    sampled=st.booleans(),
    target=st.sampled_from(["integers", "floats", "small buffers"]),
)
def test_each_pass_keeps_a_models_meaning(shape, rows, sampled, target):
    graph = make_model(shape).graph(rows, min(rows, 4) if sampled else 0, CONTEXT)
    tokens = np.random.default_rng(rows).integers(0, shape.vocab, rows).tolist()
    keeps_its_meaning(graph, TARGETS[target], tokens, read_weight)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1 << 20),
    steps=st.integers(1, 6),
    rows=st.sampled_from([1, 3, 8, 9, 12]),
    sampled=st.booleans(),
    target=st.sampled_from(["integers", "floats", "long"]),
)
def test_each_pass_keeps_any_graphs_meaning(seed, steps, rows, sampled, target):
    """Whatever model files can say, in any order."""
    graph, book = random_graph(seed, rows, min(rows, 4) if sampled else 0, steps)
    tokens = np.random.default_rng(seed).integers(0, VOCAB, rows).tolist()
    keeps_its_meaning(graph, TARGETS[target], tokens, book.read)


@pytest.mark.parametrize("formats", [pytest.param(("Q4_0",), marks=pytest.mark.minutes), ("Q4_0", "Q8_0")])
def test_sums_of_shared_products_keep_the_meaning(formats):
    """Where matrices share out K, which only large products do."""
    shape = Shape("qwen3", 2, heads=48, kv_heads=8, head_dim=64, hidden=1536, intermediate=4096, vocab=64, formats=formats)
    graph = make_model(shape).graph(512, 2, CONTEXT)
    passed = run_passes(graph, TARGETS["matrices"])
    ops = {node.op for node in passed.nodes()}
    assert {"sum_parts_norm", "rotate_append"} <= ops
    tokens = np.random.default_rng(1).integers(0, shape.vocab, 512).tolist()
    assert close(evaluate(passed, tokens, _cached(read_weight)), evaluate(graph, tokens, _cached(read_weight)))


def _cached(read):
    kept: dict[Weight, np.ndarray] = {}
    return lambda weight: kept[weight] if weight in kept else kept.setdefault(weight, read(weight))


def test_a_wrong_fusion_is_seen():
    """The oracle can tell: with another epsilon the result differs."""
    graph = run_passes(make_model(Shape()).graph(2, 2, CONTEXT), TARGETS["floats"])
    head = graph.root["x"]["x"]
    broken = Graph(graph.root.with_({"x": graph.root["x"].with_({"x": head.with_(attrs={"norm_eps": 10.0})})}), 2, 2)
    assert not close(evaluate(graph, [1, 2], read_weight), evaluate(broken, [1, 2], read_weight))


# --- nothing is ignored ----------------------------------------------------------------------------------------------
def test_what_an_operation_does_not_declare_is_refused():
    graph, _ = random_graph(1, 2, 2)
    for op in {node.op for node in graph.nodes()} & {"linear", "norm", "map", "embed", "gather"}:
        node = next(node for node in graph.nodes() if node.op == op)
        for broken in (node.with_(attrs={"softcap": 5.0}), node.with_({"gate": node})):
            with pytest.raises(ValueError, match=f"{op}.*which it does not know"):
                check_graph(Graph(layers.finish_rows(broken), 2, 0), "a test")
    lacking = make("norm", {"x": graph.nodes()[1]}, (2, 4), kind="rms", eps=1e-5)
    with pytest.raises(ValueError, match="no attribute 'heads'"):
        check_graph(Graph(layers.finish_rows(lacking), 2, 0), "a test")


def test_an_unknown_operation_is_refused():
    graph, _ = random_graph(1, 2, 2)
    with pytest.raises(ValueError, match="convolve"):
        check_graph(Graph(make("convolve", {"x": graph.root["x"]}, (2, 4)), 2, 2), "a test")


def test_every_operation_has_a_kernel_or_needs_none():
    assert set(OPS) == {*KERNELS, *NO_LAUNCH}


def tokens_of(rows: int) -> list[int]:
    return [(7 * i + 3) % VOCAB for i in range(rows)]


def layered(book: Book, blocks, rows: int = 12) -> Graph:
    """A small decoder whose layer i is blocks[i](x)."""
    x = make("embed", {"weight": book.matrix(VOCAB, 32)}, (rows, 32), "embed")
    for block in blocks:
        x = x + block(x)
    x = layers.rms_norm(layers.sampled_rows(x, 2), book.vector(32), 1e-5)
    return Graph(layers.sample(make("linear", {"x": x, "weight": book.matrix(VOCAB, 32)}, (2, VOCAB), "head")), rows, 2)


def product(book: Book, x, size: int, weight=None):
    return make("linear", {"x": x, "weight": weight or book.matrix(size, x.shape[1])}, (x.shape[0], size), "same name")


@pytest.mark.parametrize("rows", [2, 12])
def test_layers_may_rotate_differently(rows):
    """One table of frequencies to each layer: no pass may put one layer's in place of another's."""
    book = Book(3)

    def attention(layer: int, theta: float, scale: float, pairs: int):
        def block(x):
            table = Rope(tuple(theta ** (-i / 8) for i in range(pairs)), scale)
            q, k, v = (product(book, x, n * 16) for n in (2, 1, 1))
            q, k = layers.rope(q, 2, table), layers.rope(k, 1, table)
            return product(book, layers.attend(q, k, v, layer, 2, 1), 32)

        return block

    graph = layered(book, [attention(0, 100.0, 1.0, 8), attention(1, 10000.0, 1.3, 4)], rows)
    passed = run_passes(graph, TARGETS["floats"])
    tables = {node.attrs["inv_freq"] for node in passed.nodes() if "inv_freq" in node.attrs}
    assert len(tables) == 2
    assert close(evaluate(passed, tokens_of(rows), book.read), evaluate(graph, tokens_of(rows), book.read))


@pytest.mark.parametrize("rows", [2, 12])
def test_layers_may_share_their_weights_and_names(rows):
    """The same weights twice, and all nodes under one name: passes go by node."""
    book = Book(5)
    weights = [book.matrix(n, 32) for n in (32, 16, 16, 64, 64)] + [book.matrix(32, 32), book.matrix(32, 64), book.vector(32)]
    q_w, k_w, v_w, gate_w, up_w, o_w, down_w, norm_w = weights

    def block(layer: int):
        def run(x):
            y = layers.rms_norm(x, norm_w, 1e-5)
            q, k, v = (product(book, y, w.shape[0], w) for w in (q_w, k_w, v_w))
            x = product(book, layers.attend(q, k, v, layer, 2, 1), 32, o_w)
            y = layers.rms_norm(x, norm_w, 1e-5)
            return product(book, silu(product(book, y, 64, gate_w)) * product(book, y, 64, up_w), 32, down_w)

        return run

    graph = layered(book, [block(0), block(1)], rows)
    passed = run_passes(graph, TARGETS["integers"])
    assert close(evaluate(passed, tokens_of(rows), book.read), evaluate(graph, tokens_of(rows), book.read))
    stacked = [node.attrs["weight"] for node in passed.nodes() if node.op == "weight"]
    assert len(set(stacked)) < len(stacked), "both layers' stacked weights are one content, which lies in memory once"


def test_equal_weights_are_one_content():
    a, b = (Weight("w", "F32", 4, 4, (Piece(0, 16, 4, "F32"),)) for _ in range(2))
    assert a == b and len({a, b}) == 1


# --- how far things are fused ----------------------------------------------------------------------------------------
QUIET = {"weight", "embed", "finish", "slice", "part"}


@pytest.mark.parametrize(("rows", "per_layer", "last"), [(1, 5, 2), (8, 5, 2), (32, 8, 4)])
def test_how_far_a_layer_is_fused(rows, per_layer, last):
    """Few rows: rotating product, attention, product, product, product. Many rows: norm, product, rotation, attention, product,
    norm, product, product, and activations quantised. A step that samples nothing ends with the last layer's attention."""
    graph = run_passes(make_model(Shape(layers=3, formats=("Q8_0",))).graph(rows, 0, 64), TARGETS["ten buffers"])
    ops = [node.op for node in graph.nodes() if node.op not in QUIET]
    assert len([op for op in ops if op != "quantize"]) == 2 * per_layer + last, ops


def test_the_last_layer_goes_on_with_sampled_rows_only():
    """After its attention: o, gate and up, down, the head and its penalties for two rows, and the two rows that o's result is
    added to."""
    graph = run_passes(make_model(Shape(layers=3)).graph(32, 2, CONTEXT), TARGETS["floats"])
    few = [node.op for node in graph.nodes() if node.op not in ("weight", "sample") and node.shape[0] == 2]
    assert few == ["gather", "linear", "linear", "linear", "linear", "rank", "penalize"]


def test_siblings_of_other_formats_share_a_result_but_not_a_launch():
    graph = make_model(Shape(formats=("Q4_0", "Q4_0", "Q8_0"), vocab=64)).graph(1, 1, CONTEXT)
    passed = run_passes(graph, TARGETS["ten buffers"])
    rotating = [node for node in passed.nodes() if node.op == "linear_rotate"]
    assert len(rotating) == 2 and any("weight1" in node.slots for node in rotating)


def test_what_is_decided_stands_in_the_graph():
    """Quantised activations, attention's parts and who joins them: `fanlight show passes` prints them."""
    graph = make_model(Shape(formats=("Q4_0",), intermediate=256, head_dim=64)).graph(1, 1, 4096)
    text = print_graph(run_passes(graph, TARGETS["ten buffers"]))
    assert "form=splits splits=4" in text and "form=int8x16" in text and "linear_rotate" in text
    many = make_model(Shape(formats=("Q4_0",), head_dim=64)).graph(32, 2, 4096)
    text = print_graph(run_passes(many, TARGETS["ten buffers"]))
    assert "form=int8x32" in text and "quantize" in text
