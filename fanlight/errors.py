"""Every error that Fanlight raises on purpose.

    FanlightError
    ├── FormatError             a model file is broken, truncated or lies about itself
    │   └── MissingWeight       the architecture needs a tensor that the file does not have
    ├── UnsupportedModel        well-formed, but nothing here can run it (architecture, tokenizer, option)
    ├── SourceError             bytes could not be read (no such file, network, no range support)
    ├── DeviceError             the GPU side
    │   ├── NoAdapter           no WebGPU here
    │   ├── DoesNotFit          the memory plan exceeds the adapter
    │   ├── KernelFailed        a kernel did not compile or is wrong on this adapter
    │   └── DeviceLost          the adapter went away while in use
    ├── RequestError            a request that cannot be served as it stands; `param` names the field
    │   └── ContextOverflow     the prompt is longer than the context
    ├── EngineBusy              as many requests wait as may; nothing is wrong with this one
    └── EngineClosed            the engine was closed while, or before, it was used

An error says what happened (`message`), where (`where`: file, tensor, kernel, model line) and what to do (`hint`). The three
cross the worker and the HTTP border as data (`to_dict`), so a page gets the same object as a Python program.
"""


def encodable(text: str) -> str:
    """The text with a question mark for each half of a surrogate pair: a request may hold them, and no encoding can say
    them."""
    return text.encode("utf-8", "replace").decode()


class FanlightError(Exception):
    def __init__(self, message: str, *, where: str = "", hint: str = "", param: str | None = None):
        self.message, self.where, self.hint = encodable(message), encodable(where), encodable(hint)
        self.param = None if param is None else encodable(param)
        super().__init__(self.message)

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        hint = f"\n  Try: {self.hint}" if self.hint else ""
        return f"{where}{self.message}{hint}"

    def to_dict(self) -> dict[str, str | None]:
        return {
            "name": type(self).__name__,
            "message": self.message,
            "where": self.where,
            "hint": self.hint,
            "param": self.param,
        }


class FormatError(FanlightError):
    """A model file is broken, truncated or lies about itself."""


class MissingWeight(FormatError):
    """The architecture needs a tensor that the file does not have."""


class UnsupportedModel(FanlightError):
    """A well-formed model that nothing here can run."""


class SourceError(FanlightError):
    """Bytes could not be read."""


class DeviceError(FanlightError):
    """The GPU side failed."""


class NoAdapter(DeviceError):
    """No WebGPU adapter here."""


class DoesNotFit(DeviceError):
    """The memory plan exceeds the adapter."""


class KernelFailed(DeviceError):
    """A kernel did not compile, or gives wrong numbers on this adapter."""


class DeviceLost(DeviceError):
    """The adapter went away while in use."""


class RequestError(FanlightError):
    """A request that cannot be served as it stands; `param` names the field."""


class ContextOverflow(RequestError):
    """The prompt is longer than the context."""


class EngineBusy(FanlightError):
    """As many requests wait as may; nothing is wrong with this one."""


class EngineClosed(FanlightError):
    """The engine was closed while, or before, it was used."""
