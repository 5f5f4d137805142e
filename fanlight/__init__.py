"""Large language models on WebGPU, natively and inside a web page, behind an OpenAI-style API.

    import fanlight
    with fanlight.load("model.gguf") as engine:
        answer = engine.chat.completions.create(messages=[{"role": "user", "content": "Hello!"}])
        print(answer.choices[0].message.content)

In a program with an event loop, and in a Python that runs in a page (JupyterLite, PyScript, marimo, Pyodide):
`engine = await fanlight.aload(...)`, then the same with `await`. Several models share a GPU's memory with
`load(..., device=adapter)`, where `adapter = fanlight.open_adapter()`. `fanlight.catalogue()` lists well-known models, which
`load` takes by their ids.
"""

import importlib
from typing import TYPE_CHECKING, Any

from fanlight.errors import FanlightError

if TYPE_CHECKING:
    from fanlight.api.progress import Progress
    from fanlight.api.python import AsyncLocalEngine, LocalEngine, aload, load, open_adapter
    from fanlight.formats.catalogue import catalogue

__version__ = "0.1.0"
__all__ = [
    "AsyncLocalEngine",
    "FanlightError",
    "LocalEngine",
    "Progress",
    "__version__",
    "aload",
    "catalogue",
    "load",
    "open_adapter",
]

_ELSEWHERE = {"catalogue": "fanlight.formats.catalogue", "Progress": "fanlight.api.progress"}
_ELSEWHERE |= dict.fromkeys(("AsyncLocalEngine", "LocalEngine", "aload", "load", "open_adapter"), "fanlight.api.python")


def __getattr__(name: str) -> Any:
    """Loaded when first used: every import of a part of the package passes here, and most need none of this."""
    if name not in _ELSEWHERE:
        raise AttributeError(f"module 'fanlight' has no attribute {name!r}")
    return getattr(importlib.import_module(_ELSEWHERE[name]), name)
