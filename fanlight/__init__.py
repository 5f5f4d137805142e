"""Large language models on WebGPU, natively and inside a web page, behind an OpenAI-style API.

    import fanlight
    with fanlight.load("model.gguf") as engine:
        answer = engine.chat.completions.create(messages=[{"role": "user", "content": "Hello!"}])
        print(answer.choices[0].message.content)

In a program with an event loop, and in a browser: `engine = await fanlight.aload(...)`, then the same with `await`. Several
models share a GPU's memory with `load(..., device=adapter)`, where `adapter = fanlight.open_adapter()`.
`fanlight.catalogue()` lists well-known models, which `load` takes by their ids.
"""

import importlib
from typing import TYPE_CHECKING, Any

from fanlight.errors import FanlightError

if TYPE_CHECKING:
    from fanlight.api.python import AsyncLocalEngine, LocalEngine, aload, load, open_adapter
    from fanlight.formats.catalogue import catalogue

__version__ = "0.1.0"
__all__ = ["AsyncLocalEngine", "FanlightError", "LocalEngine", "__version__", "aload", "catalogue", "load", "open_adapter"]


def __getattr__(name: str) -> Any:
    """Loaded when first used: every import of a part of the package passes here, and most need none of this."""
    if name in ("load", "aload", "open_adapter", "LocalEngine", "AsyncLocalEngine"):
        return getattr(importlib.import_module("fanlight.api.python"), name)
    if name == "catalogue":
        return importlib.import_module("fanlight.formats.catalogue").catalogue
    raise AttributeError(f"module 'fanlight' has no attribute {name!r}")
