"""How much of the stack the cheapest way to an end needs, from each state and before each push."""

from heapq import heappop, heappush

from fanlight.grammar.automaton import GOTO

FAR = 1 << 20


def stack_needs(
    rows: list[list[tuple[int, int]]], accepts: list[bool], pushes: list[tuple[int, list[int]]]
) -> tuple[list[int], list[int]]:
    """The needs of states and of pushes. A state needs what the best of its actions does; a push needs its frame and what the
    callee does, and must be able to go on after any exit. Knuth's generalisation of Dijkstra's algorithm: settled in order."""
    needs, push_needs = [FAR] * len(rows), [FAR] * len(pushes)
    before: list[list[int]] = [[] for _ in rows]  # states that go to a state
    users: list[list[int]] = [[] for _ in pushes]  # states that push
    parts: list[list[int]] = [[] for _ in rows]  # pushes that start in, or return to, a state
    missing = []
    for state, row in enumerate(rows):
        for kind, value in row:
            (before[value] if kind == GOTO else users[value]).append(state)
    for push, (start, returns) in enumerate(pushes):
        unsettled = {start, *returns}
        missing.append(len(unsettled))
        for state in unsettled:
            parts[state].append(push)
    heap = [(0, state) for state, accepting in enumerate(accepts) if accepting]
    while heap:
        need, state = heappop(heap)
        if needs[state] <= need:
            continue
        needs[state] = need
        for other in before[state]:
            if needs[other] == FAR:
                heappush(heap, (need, other))
        for push in parts[state]:
            missing[push] -= 1
            if not missing[push]:
                start, returns = pushes[push]
                push_needs[push] = max(1 + needs[start], *(needs[r] for r in returns))
                for user in users[push]:
                    heappush(heap, (push_needs[push], user))
    return needs, push_needs
