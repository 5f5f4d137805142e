"""The type of arrays in annotations: NumPy's, whose import costs a page nothing, since only a type checker does it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]  # of any shape and dtype: comments say which
else:
    Array = Any
