"""How far a load is, in words:  await fanlight.aload(url, on_progress=fanlight.Progress())

In a notebook it is one line that changes, and shown without being asked for; elsewhere lines are printed.
"""

import sys
from collections.abc import Callable
from typing import Any

from fanlight.engine.load import OnProgress

# phases of engine/load.py
WORDS = {
    "header": "Reading the model's description",
    "compile": "Compiling the model for this graphics adapter",
    "pipelines": "Compiling the kernels",
    "tune": "Finding out what suits this graphics adapter",
    "check": "Checking the kernels on this graphics adapter",
    "replace": "Replacing kernels that this graphics adapter gets wrong",
    "weights": "Loading the weights",
    "ready": "The model is ready",
}
STEP_PERCENT = 10  # of the weights, between two lines that are printed


class Progress:
    """An `on_progress` for one load."""

    def __init__(self) -> None:
        self._show = notebook_line() or (lambda line: print(line, flush=True))
        self._step = 1 if notebook_line() else STEP_PERCENT
        self._shown = ""

    def __call__(self, phase: str, done: int, total: int) -> None:
        line = WORDS.get(phase, phase)
        if phase == "weights" and total:
            percent = 100 * done // total // self._step * self._step
            line += f": {percent} % of {total / 1e6:.1f} MB"
        if line != self._shown:
            self._shown = line
            self._show(line)


def default_progress() -> OnProgress:
    """What shows it where nobody said how: a notebook; elsewhere nothing does."""
    return Progress() if is_notebook() else lambda phase, done, total: None


def is_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and type(shell).__name__ != "TerminalInteractiveShell"


def notebook_line() -> Callable[[str], None] | None:
    """Shows a line in the cell's output in place of the one before."""
    if not is_notebook():
        return None
    from IPython.display import display

    handles: list[Any] = []

    def show(line: str) -> None:
        data = {"text/plain": line}
        if handles:
            handles[0].update(data, raw=True)
        else:
            handles.append(display(data, raw=True, display_id=True))

    return show
