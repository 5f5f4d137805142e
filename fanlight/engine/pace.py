"""How many steps to keep in flight."""

import math
import time

from fanlight.compiler.program import MAX_RECORDS

IN_FLIGHT_SECONDS = 0.01  # of steps that are queued: hides a round trip, and is all that a new request waits for
FEWEST_IN_FLIGHT = 3
FEW_ROWS = 8


class Pace:
    """How many steps to keep in flight: the faster they follow each other, the more."""

    def __init__(self) -> None:
        self._seconds = math.inf  # from result to result, smoothed
        self._last: float | None = None

    def depth(self, most: int) -> int:
        return min(most, max(FEWEST_IN_FLIGHT, int(IN_FLIGHT_SECONDS / self._seconds)))

    def together(self, most: int) -> int:
        """How many steps to submit at once: while they are computed and read, as many others keep the GPU busy."""
        return max(1, min(MAX_RECORDS, self.depth(most) // 2))

    def finished(self, num_rows: int, is_last: bool, num_steps: int = 1) -> None:
        """The result of so many steps of so many rows is here; is_last: no other step was queued behind them."""
        now = time.perf_counter()
        if self._last is not None and num_rows <= FEW_ROWS:
            took = max((now - self._last) / num_steps, 1e-6)
            self._seconds = took if math.isinf(self._seconds) else 0.8 * self._seconds + 0.2 * took
        self._last = None if is_last else now
