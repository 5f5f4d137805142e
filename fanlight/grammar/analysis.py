"""What is known of each rule before it is determinised: whether it can be anything at all, or nothing; the bytes that it begins
with; which calls stand in last place, and which are small enough to be taken into their callers."""

from fanlight.errors import RequestError
from fanlight.grammar.limits import spend
from fanlight.grammar.nfa import Nfa

SMALL = 6  # states
Flat = tuple[list[tuple[int, int]], list[int], bool, int]
OVERLAP = -1
MAX_CHAIN = 1_000


class Analysis:
    def __init__(self, nfa: Nfa) -> None:
        self.nfa = nfa
        self._prune()
        over = self._reaches_end(edges=False)
        self.nullable = [over[start] for start in nfa.start]
        self._ends = set(nfa.end)
        self._flat: list[Flat | None] = [None] * len(nfa.edges)
        self.first = self._first()
        self.is_last = [self._is_end_only(target) for target in nfa.call_target]
        self.small_calls = self._small_calls()

    def _reaches_end(self, edges: bool) -> list[bool]:
        """From which states the end of their rule is reached: by anything, or by what takes no byte."""
        nfa = self.nfa
        back: list[list[int]] = [[] for _ in nfa.edges]
        callers: list[list[tuple[int, int]]] = [[] for _ in nfa.names]  # rule -> (state before, state after)
        for state, targets in nfa.skips.items():
            for target in targets:
                back[target].append(state)
        for state, row in enumerate(nfa.edges) if edges else ():
            for _mask, target in row:
                back[target].append(state)
        for state, calls in nfa.calls.items():
            for call in calls:
                callers[nfa.call_rule[call]].append((state, nfa.call_target[call]))
        rule_of_start = {start: rule for rule, start in enumerate(nfa.start)}
        reaches, waiting = [False] * len(nfa.edges), [False] * len(nfa.names)
        after: dict[int, list[int]] = {}  # state -> states that call a rule which can be over, and then come to it
        todo = list(nfa.end)
        while todo:
            state = todo.pop()
            if reaches[state]:
                continue
            reaches[state] = True
            todo += back[state]
            todo += after.get(state, ())
            rule = rule_of_start.get(state)
            if rule is not None and not waiting[rule]:
                waiting[rule] = True
                for caller, target in callers[rule]:
                    if reaches[target]:
                        todo.append(caller)
                    else:
                        after.setdefault(target, []).append(caller)
        return reaches

    def _prune(self) -> None:
        """Without what leads nowhere."""
        nfa = self.nfa
        alive = self._reaches_end(edges=True)
        if not alive[nfa.start[0]]:
            raise RequestError("no text satisfies the grammar", hint="its parts exclude one another: leave one out")
        if all(alive):
            return
        nfa.edges = [[edge for edge in row if alive[edge[1]]] for row in nfa.edges]
        for state, targets in nfa.skips.items():
            nfa.skips[state] = [t for t in targets if alive[t]]
        for state, calls in nfa.calls.items():
            nfa.calls[state] = [
                call for call in calls if alive[nfa.call_target[call]] and alive[nfa.start[nfa.call_rule[call]]]
            ]

    def flat(self, state: int) -> Flat:
        """Edges and calls of a state and of all that it reaches without a byte, whether the end is among them, and the bytes
        that the edges take; OVERLAP, where two take the same one."""
        found = self._flat[state]
        if found is None:
            nfa = self.nfa
            alone = state not in nfa.skips and state not in nfa.calls
            found = self._before(nfa.edges[state], ([], [], state in self._ends, 0)) if alone else self._of_chain(state)
            self._flat[state] = found
        return found

    def _of_chain(self, state: int) -> Flat:
        """Of a state that skips to one that skips on, as optional properties do: each adds its own to what the next one has."""
        nfa, chain = self.nfa, [state]
        while self._flat[at := chain[-1]] is None and at not in nfa.calls and len(nfa.skips.get(at, ())) == 1:
            chain += nfa.skips[at]
            if len(chain) > MAX_CHAIN:  # or it goes round
                return self._flatten(state)
        at = chain.pop()
        found = self._flat[at] = self._flat[at] or self._flatten(at)
        for at in reversed(chain):
            spend(1 + len(found[0]) // 4)
            found = self._flat[at] = self._before(nfa.edges[at], found)
        return found

    def _before(self, edges: list[tuple[int, int]], rest: Flat) -> Flat:
        more, calls, ends, taken = rest
        for mask, _ in edges:
            taken = OVERLAP if taken & mask else taken | mask
        return edges + more, calls, ends, taken

    def _flatten(self, state: int) -> Flat:
        nfa = self.nfa
        edges: list[tuple[int, int]] = []
        calls: list[int] = []
        seen, todo = {state}, [state]
        while todo:
            at = todo.pop()
            edges += nfa.edges[at]
            here = nfa.calls.get(at, ())
            calls += here
            targets = [nfa.call_target[call] for call in here if self.nullable[nfa.call_rule[call]]]
            fresh = [t for t in (*nfa.skips.get(at, ()), *targets) if t not in seen]
            seen.update(fresh)
            todo += fresh
        spend((len(seen) + len(edges)) // 4)
        return self._before(edges, ([], calls, not seen.isdisjoint(self._ends), 0))

    def _is_end_only(self, state: int) -> bool:
        edges, calls, ends, _ = self.flat(state)
        return ends and not edges and not calls

    def _first(self) -> list[int]:
        """The bytes that each rule begins with. Refuses a rule that begins with itself."""
        nfa = self.nfa
        first = [0] * len(nfa.names)
        done = [0] * len(nfa.names)  # 1 while its callees are looked at
        for root in range(len(nfa.names)):
            path = [root]
            while path:
                rule = path[-1]
                edges, calls, *_ = self.flat(nfa.start[rule])
                callees = [nfa.call_rule[call] for call in calls]
                fresh = next((c for c in callees if done[c] != 2), None) if done[rule] != 2 else None
                done[rule] = done[rule] or 1
                if fresh is not None and done[fresh] == 1:
                    self._left_recursive(path[path.index(fresh) :])
                if fresh is not None:
                    path.append(fresh)
                    continue
                for mask, _target in edges:
                    first[rule] |= mask
                for callee in callees:
                    first[rule] |= first[callee]
                done[rule] = 2
                path.pop()
        return first

    def _left_recursive(self, cycle: list[int]) -> None:
        names = " -> ".join(repr(self.nfa.names[rule]) for rule in [*cycle, cycle[0]])
        raise RequestError(f"the grammar is left-recursive: {names}", hint="write it as a repetition")

    def _small_calls(self) -> list[int]:
        """Calls of rules that call nothing and are small, or are called once only."""
        nfa = self.nfa
        sizes, uses, leaf = [0] * len(nfa.names), [0] * len(nfa.names), [True] * len(nfa.names)
        for rule in range(len(nfa.names)):
            seen, todo = {nfa.start[rule]}, [nfa.start[rule]]
            while todo:
                at = todo.pop()
                targets = [target for _, target in nfa.edges[at]]
                targets += nfa.skips.get(at, ())
                for call in nfa.calls.get(at, ()):
                    leaf[rule] = False
                    uses[nfa.call_rule[call]] += 1
                    targets.append(nfa.call_target[call])
                for target in targets:
                    if target not in seen:
                        seen.add(target)
                        todo.append(target)
            sizes[rule] = len(seen)
        rules = {rule for rule in range(len(nfa.names)) if leaf[rule] and (sizes[rule] <= SMALL or uses[rule] == 1)}
        return [call for call, rule in enumerate(nfa.call_rule) if rule in rules]
