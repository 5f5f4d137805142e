"""Static memory: every value of a step gets one of a few arenas, by lifetime, before anything runs.

An arena is a whole GPU buffer that holds one value at a time: WebGPU forbids a buffer to be read and written in one dispatch,
and tracks hazards per buffer, so values that meet in a launch lie in different ones. All steps share the arenas, as they run
one after the other."""

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fanlight.compiler.program import BufferSpec
from fanlight.compiler.selection import Draft


@dataclass(frozen=True, slots=True)
class Life:
    """Launches from the one that writes the value first to the one that reads it last."""

    first: int
    last: int

    def overlaps(self, other: "Life") -> bool:
        return self.first <= other.last and other.first <= self.last


def lives_of(drafts: Sequence[Draft]) -> dict[str, Life]:
    lives: dict[str, Life] = {}
    for i, draft in enumerate(drafts):
        for operand in draft.operands.values():
            if operand.startswith("value:"):
                lives[operand] = Life(lives[operand].first if operand in lives else i, i)
    return lives


def plan_arenas(drafts: Sequence[Draft], value_bytes: Mapping[str, int], arenas: list[int]) -> dict[str, int]:
    """Value -> index of its arena. `arenas` holds the arenas' bytes so far and grows. Values choose in order of time, which
    needs the fewest arenas, or the largest first, which makes few of them large: whichever takes fewer bytes."""
    lives = lives_of(drafts)
    orders = (sorted(lives, key=lambda v: lives[v].first), sorted(lives, key=lambda v: (-value_bytes[v], lives[v].first)))
    plans = [_plan_in_order(order, lives, value_bytes, list(arenas)) for order in orders]
    plan, arenas[:] = min(plans, key=lambda found: sum(found[1]))
    return plan


def _plan_in_order(
    order: Sequence[str], lives: Mapping[str, Life], value_bytes: Mapping[str, int], arenas: list[int]
) -> tuple[dict[str, int], list[int]]:
    """Each value takes the best fit among the arenas that are free while it lives. The plan, and the arenas' bytes."""
    taken: dict[int, list[Life]] = defaultdict(list)  # of each arena, in order of time
    plan: dict[str, int] = {}
    for value in order:
        life, size = lives[value], value_bytes[value]
        free = [i for i in range(len(arenas)) if _is_free(taken[i], life)]
        if not free:
            arenas.append(0)
            free = [len(arenas) - 1]
        # The smallest that holds it; else the largest, which then grows least.
        best = min(free, key=lambda i: (arenas[i] < size, arenas[i] if arenas[i] >= size else -arenas[i]))
        arenas[best] = max(arenas[best], size)
        insort(taken[best], life, key=_first)
        plan[value] = best
    return plan, arenas


def _first(life: Life) -> int:
    return life.first


def _is_free(taken: Sequence[Life], life: Life) -> bool:
    """Whether none of the lives, which do not overlap each other, overlaps this one."""
    after = bisect_right(taken, life.last, key=_first)
    return after == 0 or taken[after - 1].last < life.first


def check_plan(plan: Mapping[str, int], drafts: Sequence[Draft]) -> None:
    """No two values that live at once share an arena; no launch reads and writes one. Raises ValueError."""
    lives = lives_of(drafts)
    by_arena: dict[int, list[str]] = {}
    for value, arena in plan.items():
        for other in by_arena.setdefault(arena, []):
            if lives[value].overlaps(lives[other]):
                raise ValueError(f"{value} and {other} both live in arena {arena} at launch {lives[value].first}")
        by_arena[arena].append(value)
    written: set[str] = set()
    for i, draft in enumerate(drafts):
        for name, operand in draft.operands.items():
            if operand.startswith("value:") and name not in draft.kernel.outputs and operand not in written:
                raise ValueError(f"launch {i} ({draft.where}) reads {operand}, which nothing wrote")
        written |= {draft.operands[name] for name in draft.kernel.outputs}


def largest_first(sizes: Sequence[int]) -> list[int]:
    """Indices of steps in the order in which to plan them: the largest sets the arenas' sizes."""
    return sorted(range(len(sizes)), key=lambda i: -sizes[i])


def memory_plan(buffers: Sequence[BufferSpec]) -> dict[str, int]:
    """Bytes by kind (weight, kv, state, arena, io, staging), and in all. What a device will hold, known before anything is
    downloaded."""
    plan = {
        kind: sum(b.size for b in buffers if b.kind == kind) for kind in ("weight", "kv", "state", "arena", "io", "staging")
    }
    return plan | {"total": sum(plan.values())}
