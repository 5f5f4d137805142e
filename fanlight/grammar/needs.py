"""How much of the stack the cheapest way to an end needs, from each state and before each push."""

from heapq import heappop, heappush

from fanlight.grammar.automaton import GOTO

FAR = 1 << 20


def stack_needs(
    rows: list[list[tuple[int, int]]], accepts: list[bool], pushes: list[tuple[int, list[int]]]
) -> tuple[list[int], list[int]]:
    """The needs of states and of pushes. A state needs what the best of its actions does; a push needs its frame and what the
    callee does, and what comes after one of its exits. Found cheapest first, as Dijkstra finds paths; at last a push is asked
    for what comes after any exit, since a text may take any."""
    needs = [FAR] * len(rows)
    before: list[list[int]] = [[] for _ in rows]  # states that go to a state
    users: list[list[int]] = [[] for _ in pushes]  # states that push
    starting: list[list[int]] = [[] for _ in rows]  # pushes that start in a state
    returning: list[list[int]] = [[] for _ in rows]  # pushes that return to it
    for state, row in enumerate(rows):
        for kind, value in row:
            (before[value] if kind == GOTO else users[value]).append(state)
    for push, (start, returns) in enumerate(pushes):
        starting[start].append(push)
        for state in returns:
            returning[state].append(push)
    callee, after = [FAR] * len(pushes), [FAR] * len(pushes)
    heap = [(0, state) for state, accepting in enumerate(accepts) if accepting]
    while heap:
        need, state = heappop(heap)
        if needs[state] <= need:
            continue
        needs[state] = need
        for other in before[state]:
            if needs[other] == FAR:
                heappush(heap, (need, other))
        ready = []
        for push in starting[state]:
            callee[push] = 1 + need
            ready.append(push)
        for push in returning[state]:
            if after[push] == FAR:
                after[push] = need
                ready.append(push)
        for push in ready:
            if max(callee[push], after[push]) < FAR:
                for user in users[push]:
                    heappush(heap, (max(callee[push], after[push]), user))
    return needs, [max(1 + needs[start], *(needs[state] for state in returns)) for start, returns in pushes]
