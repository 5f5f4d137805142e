"""How much of the stack the cheapest way to an end needs, from each state and before each push."""

from collections import defaultdict

from fanlight.grammar.automaton import GOTO

FAR = 1 << 20


def stack_needs(
    rows: list[list[tuple[int, int, int]]], push_of: list[int], accepting: list[int], pushes: list[tuple[int, list[int]]]
) -> tuple[list[int], list[int]]:
    """The needs of states and of pushes. A state needs what the best of its actions does; a push needs its frame and what the
    callee does, and what comes after one of its exits. Found cheapest first, as Dijkstra finds paths; at last a push is asked
    for what comes after any exit, since a text may take any."""
    needs = [FAR] * len(rows)
    before: list[list[int]] = [[] for _ in rows]  # states that go to a state
    users: list[list[int]] = [[] for _ in pushes]  # states that push
    starting: defaultdict[int, list[int]] = defaultdict(list)  # state -> pushes that start in it
    returning: defaultdict[int, list[int]] = defaultdict(list)  # state -> pushes that return to it
    for state, row in enumerate(rows):
        for _, kind, value in row:
            (before[value] if kind == GOTO else users[push_of[value]]).append(state)
    for push, (start, returns) in enumerate(pushes):
        starting[start].append(push)
        for state in returns:
            returning[state].append(push)
    callee, after = [FAR] * len(pushes), [FAR] * len(pushes)
    need, level = 0, list(accepting)
    while level:
        following: list[int] = []  # of what needs one more
        while level:
            state = level.pop()
            if needs[state] <= need:
                continue
            needs[state] = need
            level += before[state]
            for push in starting.get(state, ()):
                callee[push] = need + 1
                if after[push] < FAR:
                    following += users[push]
            for push in returning.get(state, ()):
                if after[push] == FAR:
                    after[push] = need
                    if callee[push] < FAR:
                        (level if callee[push] <= need else following).extend(users[push])
        need, level = need + 1, following
    return needs, [max(1 + needs[start], *(needs[state] for state in returns)) for start, returns in pushes]
