"""The operations of models that hear, as ops.py has all others."""

from collections.abc import Callable
from typing import Any, Protocol

from fanlight.arrays import Array
from fanlight.compiler.graph import Node
from fanlight.kernels import level, unfold


class Values(Protocol):
    """ops.Inputs"""

    @property
    def node(self) -> Node: ...
    def __getitem__(self, slot: str) -> Array: ...


def _not_alone(i: Values) -> Array:
    raise ValueError(f"{i.node.op} {i.node.name} has no meaning within one step: what it reads came before")


def _level(i: Values) -> Array:
    import numpy as np

    return (np.maximum(i["x"], i["x"].max() - level.BELOW) + level.SHIFT) / level.SCALE


def _unfold(i: Values) -> Array:
    import numpy as np

    frames = np.stack([i["even"], i["odd"]], axis=1).reshape(-1, i["even"].shape[1])
    return unfold.unfolded(frames, i.node.attrs["taps"], i.node.attrs["start"])


def _keep(i: Values) -> Array:
    import numpy as np

    return np.concatenate([i["k"], i["v"]], axis=1)


Said = tuple[Callable[[Any], Any], tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]
SOUND_OPS: dict[str, Said] = {  # ops.Op's fields
    "mel": (_not_alone, (), (), ("mels",), ("windows", "ends")),
    "level": (_level, ("x",), (), (), ()),
    "unfold": (_unfold, ("even", "odd"), (), ("taps", "start"), ()),
    "keep": (_keep, ("k", "v"), (), ("layer", "places"), ()),
    "attend_kept": (_not_alone, ("q",), (), ("layer", "heads", "places", "scale"), ()),
    "timestamps": (_not_alone, ("x",), (), ("layer", "transcript"), ("form",)),
}
