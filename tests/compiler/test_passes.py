"""Every pass keeps the meaning of a graph, does nothing the second time, and leaves what the next stage needs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanlight.compiler import PASSES, run_passes
from fanlight.compiler.graph import Graph, print_graph
from fanlight.compiler.ops import evaluate
from fanlight.compiler.program import Limits
from tests.compiler.models import Shape, make_model, read_weight

SMALL = Limits(max_storage_buffer_binding_size=40 << 10, max_buffer_size=40 << 10)

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


def close(a, b):
    return np.allclose(a, b, rtol=1e-9, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(shape=shapes, rows=st.sampled_from([1, 3, 8, 9, 12]), sampled=st.booleans(), limits=st.sampled_from([Limits(), SMALL]))
def test_each_pass_keeps_the_meaning(shape, rows, sampled, limits):
    model = make_model(shape)
    graph = model.graph(rows, min(rows, 4) if sampled else 0)
    tokens = np.random.default_rng(rows).integers(0, shape.vocab, rows).tolist()
    truth = evaluate(graph, tokens, read_weight)
    for name, run in PASSES:
        graph = run(graph, limits)
        assert close(evaluate(graph, tokens, read_weight), truth), name
        assert print_graph(run(graph, limits)).count("\n") == print_graph(graph).count("\n"), f"{name}, run twice"


def test_a_wrong_fusion_is_seen():
    """The oracle can tell: without the norm's weight the result differs."""
    model = make_model(Shape())
    graph = run_passes(model.graph(2, 2), Limits())
    broken = Graph(graph.root.with_({"x": graph.root["x"].with_(attrs={"eps": 10.0})}), 2, 2)
    assert not close(evaluate(graph, [1, 2], read_weight), evaluate(broken, [1, 2], read_weight))


@pytest.mark.parametrize(("rows", "per_layer", "last"), [(1, 5, 2), (8, 5, 2), (32, 8, 3)])
def test_how_far_a_layer_is_fused(rows, per_layer, last):
    """Few rows: product, attention, product, product, product. Many rows: two norms and a GLU of their own. A step that samples
    nothing ends with the last layer's attention."""
    graph = run_passes(make_model(Shape(layers=3)).graph(rows, 0), Limits())
    ops = [node.op for node in graph.nodes() if node.op not in ("weight", "embed", "finish")]
    assert len(ops) == 2 * per_layer + last, ops


def test_the_last_layer_goes_on_with_sampled_rows_only():
    """After its attention: o, gate and up, down and the head for two rows, and the two rows that o's result is added to."""
    graph = run_passes(make_model(Shape(layers=3)).graph(32, 2), Limits())
    few = [node.op for node in graph.nodes() if node.op not in ("weight", "sample") and node.shape[0] == 2]
    assert few == ["gather", "linear", "linear", "linear", "linear"]


def test_siblings_of_other_formats_share_a_result_but_not_a_launch():
    graph = run_passes(make_model(Shape(formats=("Q4_0", "Q4_0", "Q8_0"), vocab=64)).graph(1, 1), Limits())
    slots = [node.slots for node in graph.nodes() if node.op == "attend"]
    assert slots == [("qkv",), ("qkv",)]
    assert any("weight1" in node.slots for node in graph.nodes())
