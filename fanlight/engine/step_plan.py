"""What one step computes: made by the scheduler, filled in by those who know pictures and sounds, run by the engine."""

from array import array
from dataclasses import dataclass, field

from fanlight.compiler.program import AXES, ROW_WORDS, Sample
from fanlight.engine.placed import Taken
from fanlight.engine.sequence import Sequence


@dataclass(slots=True)
class StepPlan:
    """One step: rows of a sequence are consecutive, `sampled[i]` is the sequence of `samples[i]`."""

    is_prefill: bool = False
    words: "array[int]" = field(default_factory=lambda: array("I"))  # of the rows
    samples: list[Sample] = field(default_factory=list)
    sampled: list[Sequence] = field(default_factory=list)
    scheduled: list[Sequence] = field(default_factory=list)
    admitted: list[Sequence] = field(default_factory=list)  # who got their slots since the step before
    kept: list[tuple[Sequence, int]] = field(default_factory=list)  # of whose slots, these, a snapshot is wanted after it
    wants_logprobs: bool = False
    seen: set[bytes] = field(default_factory=set)  # digests of what its rows stand for
    images: list[tuple[Taken, int]] = field(default_factory=list)  # to be taken in before it, and to which row of `images`
    turns: list[tuple[int, "array[int]"]] = field(default_factory=list)  # from a row on: not its position

    @property
    def num_rows(self) -> int:
        return len(self.words) // ROW_WORDS

    def continues(self, before: "StepPlan") -> bool:
        """Whether it does no more than add a token to each sequence that the step before drew one for."""
        return self.sampled == before.sampled and self.num_rows == len(self.samples) == before.num_rows and not self.admitted


def turns_of(plan: StepPlan) -> "array[int] | None":
    """Of all its rows; None where all turn by their positions."""
    if not plan.turns:
        return None
    made = array("I", (position for position in plan.words[1::ROW_WORDS] for _ in range(AXES)))
    for row, turns in plan.turns:
        made[AXES * row : AXES * row + len(turns)] = turns
    return made
