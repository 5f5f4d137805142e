"""The operations of models that see, as ops.py has all others."""

from typing import Protocol

from fanlight.arrays import Array
from fanlight.compiler.graph import Node
from fanlight.compiler.ops_sound import Said, Values
from fanlight.kernels.inputs import NO_PATCH, ROW_WORDS, image_words
from fanlight.kernels.stretch import stretched


class Pictures(Values, Protocol):
    """ops.Inputs"""

    @property
    def tokens(self) -> list[int]: ...
    @property
    def places(self) -> list[int]: ...


def places_of(node: Node) -> list[int]:
    """Which patch each row is, of a step that takes a picture in."""
    a = node.attrs
    height, width = a["grid"]
    return image_words(height, width, a["merge"], a["has_class"], a.get("side", 0))[::ROW_WORDS].tolist()


def _patches(i: Pictures) -> Array:
    """The step's tokens are the bytes of the largest picture, which are read as from -1 to 1."""
    import numpy as np

    a, made = i.node.attrs, np.zeros(i.node.shape)
    size, (height, width) = a["patch"], a["grid"]
    values = np.array(i.tokens).reshape(height * size, width * size, 3).transpose(2, 0, 1) / 127.5 - 1
    for row, place in enumerate(i.places):
        if place != NO_PATCH:
            top, left = (place >> 16) * size, (place & 0xFFFF) * size
            made[row] = values[:, top : top + size, left : left + size].reshape(-1)
    return made


def _stretch(i: Pictures) -> Array:
    side, columns = i.node.attrs["side"], i.node.shape[1]
    places = [place for place in i.places if place != NO_PATCH]
    height, width = max(place >> 16 for place in places) + 1, max(place & 0xFFFF for place in places) + 1
    table, is_smooth = i["weight"].reshape(side, side, columns), i.node.attrs.get("is_smooth", False)
    return stretched(table, i.places, height, width, is_smooth)


def _merge(i: Pictures) -> Array:
    return i["x"][: i.node.shape[0] * i.node.attrs["count"]].reshape(i.node.shape)


IMAGE_OPS: dict[str, Said] = {  # ops.Op's fields
    "stretch": (_stretch, ("weight",), (), ("side",), ("is_smooth",)),
    "patches": (_patches, (), (), ("patch", "grid", "merge", "has_class"), ("both_ways", "side")),
    "merge": (_merge, ("x",), (), ("count",), ()),
}
