"""One stem per kernel: `gemv.py` (how it is launched, its NumPy reference) and `gemv.wgsl` beside it; cases are in cases.py."""

import importlib

from fanlight.arrays import Array
from fanlight.kernels import spec

# else: module `stem`, function `reference`
REFERENCES = {
    "upload_nibbles": ("upload", "reference_nibbles"),
    "upload_vector": ("upload", "reference_vector"),
    "upload_columns": ("parts", "reference_columns"),
    "upload_values": ("parts", "reference_values"),
}


def run_reference(wgsl: str, bindings: list[Array], grid: tuple[int, int, int]) -> None:
    """Does in NumPy what a dispatch of the shader does. bindings: u8 arrays, written in place. Only shaders that were
    composed in this process are known: WGSL text does not say what it means."""
    import numpy as np

    kernel = spec.MADE[wgsl]
    module, function = REFERENCES.get(kernel.stem, (kernel.stem, "reference"))
    arrays = {binding.name: view for binding, view in zip(kernel.bindings, bindings, strict=True)}
    reference = getattr(importlib.import_module(f"{__package__}.{module}"), function)
    with np.errstate(all="ignore"):  # rows that a step does not have hold anything
        reference(kernel, arrays, grid)
