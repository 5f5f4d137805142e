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
        line = notebook_line()
        self._show = line or (lambda text: print(text, flush=True))
        self._step = 1 if line else STEP_PERCENT
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
    return Progress() if notebook_line() else lambda phase, done, total: None


def notebook_line() -> Callable[[str], None] | None:
    """Shows a line in the cell's output in place of the one before. None where there is no notebook."""
    if (marimo := sys.modules.get("marimo")) and marimo.running_in_notebook():
        return lambda line: marimo.output.replace(marimo.plain_text(line))
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return None if shell is None or type(shell).__name__ == "TerminalInteractiveShell" else jupyter_line()


def jupyter_line() -> Callable[[str], None]:
    from IPython.display import display

    handles: list[Any] = []

    def show(line: str) -> None:
        data = {"text/plain": line}
        if handles:
            handles[0].update(data, raw=True)
        else:
            handles.append(display(data, raw=True, display_id=True))

    return show
