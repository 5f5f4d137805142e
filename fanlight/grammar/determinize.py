"""From the nondeterministic automaton of rules to the deterministic one with a stack (automaton.py).

Subsets are built per *procedure*: one rule, or several that are called at one place and are then walked jointly, with an exit
for each set of them that may be over. A call becomes a PUSH on the bytes that its rule can begin with. What the next byte
cannot decide (it continues a text and begins a rule; it continues a rule and follows it) is decided later, by taking the called
rule into the caller: then both are walked as one subset. Calls in last place are always taken in, so right recursion needs no
stack. A rule that would have to be taken into itself without end is refused by name.
"""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

from fanlight.errors import RequestError
from fanlight.grammar.analysis import OVERLAP, Analysis
from fanlight.grammar.automaton import GOTO, KIND_BITS, MAX_DEPTH, PUSH, VALUE_BITS, Automaton
from fanlight.grammar.expressions import Rules
from fanlight.grammar.limits import MAX_STATES, MAX_WORDS, TooLarge, spend
from fanlight.grammar.needs import stack_needs
from fanlight.grammar.nfa import Nfa

MAX_INLINE = 24  # rules taken into one another
MAX_ROUNDS = 24

Row = list[tuple[int, int, int]]  # (mask, GOTO or PUSH, state or site)
Kernel = int | frozenset[int]  # configurations; one by itself is not wrapped


@dataclass(slots=True)
class State:
    procedure: int
    row: Row
    taken: int  # the bytes that the row acts on
    exit: int = -1  # of its procedure


@dataclass(slots=True)
class Procedure:
    rules: tuple[int, ...]
    start: int = -1
    exits: dict[tuple[int, ...], int] = field(default_factory=dict)  # which rules are over -> number
    sites: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Site:
    """A place that pushes: what it calls, and where it goes on after each exit."""

    caller: int  # procedure
    callee: int
    calls: list[tuple[int, int]]  # (call, stack)
    returns: list[int] = field(default_factory=list)


def determinize(rules: Rules, root: str) -> Automaton:
    """The automaton of the texts of rule `root`."""
    nfa = Nfa(rules, root)
    analysis = Analysis(nfa)
    inlined = set(analysis.small_calls)
    for _ in range(MAX_ROUNDS):
        subsets = Subsets(nfa, analysis, inlined)
        conflicts = subsets.conflicts()
        if not conflicts:
            return subsets.automaton()
        inlined |= conflicts
    raise TooLarge("it is too ambiguous: too many rules must be taken into one another")


class Subsets:
    """The subset construction, with a given set of calls taken into their callers."""

    def __init__(self, nfa: Nfa, analysis: Analysis, inlined: set[int]) -> None:
        self.nfa, self.analysis, self.inlined = nfa, analysis, inlined
        self.size = len(nfa.edges)  # a configuration is stack * size + state
        self.stacks: list[tuple[int, int, int]] = [(-1, rule, 0) for rule in range(len(nfa.names))]  # (return, below, depth)
        self.stack_ids: dict[tuple[int, int], int] = {}
        self.states: list[State] = []
        self.kernels: dict[tuple[int, Kernel], int] = {}
        self.todo: list[tuple[int, Kernel]] = []
        self.procedures: list[Procedure] = []
        self.procedure_ids: dict[tuple[int, ...], int] = {}
        self.sites: list[Site] = []
        self.root = self._procedure((0,))
        while self.todo:
            self._expand(*self.todo.pop())

    # Numbering

    def _procedure(self, rules: tuple[int, ...]) -> int:
        if rules not in self.procedure_ids:
            self.procedure_ids[rules] = number = len(self.procedures)
            self.procedures.append(Procedure(rules))
            starts = {rule * self.size + self.nfa.start[rule] for rule in rules}
            self.procedures[number].start = self._state(number, kernel_of(starts))
        return self.procedure_ids[rules]

    def _state(self, procedure: int, kernel: Kernel) -> int:
        key = procedure, kernel
        number = self.kernels.get(key)
        if number is None:
            number = self.kernels[key] = len(self.states)
            if number >= MAX_STATES:
                raise TooLarge(f"it needs more than {MAX_STATES} states")
            self.states.append(State(procedure, [], 0))
            self.todo.append((number, kernel))
        return number

    def _pushed(self, call: int, below: int) -> int:
        key = self.nfa.call_target[call], below
        if key not in self.stack_ids:
            depth = self.stacks[below][2] + 1
            if depth > MAX_INLINE:
                self._refuse(call)
            self.stack_ids[key] = len(self.stacks)
            self.stacks.append((*key, depth))
        return self.stack_ids[key]

    def _refuse(self, call: int) -> None:
        name = self.nfa.names[self.nfa.call_rule[call]]
        first = self.analysis.first[self.nfa.call_rule[call]]
        byte = bytes([(first & -first).bit_length() - 1])
        raise RequestError(
            f"the grammar is ambiguous in rule {name!r}: no bounded look ahead tells whether it begins, goes on or is over"
            f" (for instance at {byte!r})",
            hint="write the rule so that the next byte decides",
        )

    # One state

    def _expand(self, number: int, kernel: Kernel) -> None:
        if isinstance(kernel, int):
            stack, at = divmod(kernel, self.size)
            edges, calls, ends, taken = self.analysis.flat(at)
            back, below, _ = self.stacks[stack]
            if not calls and taken != OVERLAP and not (ends and back >= 0):  # as inside a literal: most states are like this
                spend(2 + len(edges) // 4)
                state, base = self.states[number], stack * self.size
                state.taken = taken
                for mask, target in edges:
                    state.row.append((mask, GOTO, self._state(state.procedure, base + target)))
                if ends:
                    state.exit = self._exit(state.procedure, (below,))
                return
            kernel = frozenset((kernel,))
        self._expand_subset(number, kernel)

    def _close(self, kernel: Iterable[int], inline: set[int]) -> tuple[dict[int, set[int]], list[tuple[int, int]], list[int]]:
        """What a subset may do: edges by mask, calls, and the rules that may be over."""
        nfa, flat, size = self.nfa, self.analysis.flat, self.size
        edges: dict[int, set[int]] = {}
        calls: list[tuple[int, int]] = []
        over: list[int] = []
        todo = list(kernel)
        seen = set(todo)
        while todo:
            stack, state = divmod(todo.pop(), size)
            state_edges, state_calls, ends, _ = flat(state)
            base = stack * size
            spend(1 + len(state_edges) // 4)
            for mask, target in state_edges:
                edges.setdefault(mask, set()).add(base + target)
            more = []
            for call in state_calls:
                if self.analysis.is_last[call]:
                    more.append(base + nfa.start[nfa.call_rule[call]])
                elif call in self.inlined or call in inline:
                    more.append(self._pushed(call, stack) * size + nfa.start[nfa.call_rule[call]])
                else:
                    calls.append((call, stack))
            if ends:
                back, below, _ = self.stacks[stack]
                if back < 0:
                    over.append(below)
                else:
                    more.append(below * size + back)
            for configuration in more:
                if configuration not in seen:
                    seen.add(configuration)
                    todo.append(configuration)
        spend(1 + len(calls))
        return edges, calls, over

    def _expand_subset(self, number: int, kernel: frozenset[int]) -> None:
        state = self.states[number]
        first, rule = self.analysis.first, self.nfa.call_rule
        inline: set[int] = set()
        while True:
            edges, calls, over = self._close(kernel, inline)
            taken = 0
            for mask in edges:
                taken |= mask
            clash = {call for call, _ in calls if first[rule[call]] & taken}
            if not clash:
                break
            inline |= clash
        for mask, targets in split(edges):
            state.row.append((mask, GOTO, self._state(state.procedure, kernel_of(targets))))
        beginnings: dict[int, set[int]] = {}
        for i, (call, _) in enumerate(calls):
            beginnings.setdefault(first[rule[call]], set()).add(i)
        for mask, which in split(beginnings):
            taken |= mask
            state.row.append((mask, PUSH, self._site(state.procedure, [calls[i] for i in sorted(which)])))
        state.taken = taken
        if over:
            state.exit = self._exit(state.procedure, tuple(sorted(set(over))))

    def _site(self, caller: int, calls: list[tuple[int, int]]) -> int:
        callee = self._procedure(tuple(sorted({self.nfa.call_rule[call] for call, _ in calls})))
        site = Site(caller, callee, calls)
        number = len(self.sites)
        self.sites.append(site)
        self.procedures[callee].sites.append(number)
        for over in self.procedures[callee].exits:
            self._return(site, over)
        return number

    def _exit(self, procedure: int, over: tuple[int, ...]) -> int:
        exits = self.procedures[procedure].exits
        if over not in exits:
            exits[over] = len(exits)
            for number in self.procedures[procedure].sites:
                self._return(self.sites[number], over)
        return exits[over]

    def _return(self, site: Site, over: tuple[int, ...]) -> None:
        nfa = self.nfa
        after = {stack * self.size + nfa.call_target[call] for call, stack in site.calls if nfa.call_rule[call] in over}
        site.returns.append(self._state(site.caller, kernel_of(after)))

    # Whether a rule is over where the next byte may also continue it

    def conflicts(self) -> set[int]:
        """The calls that must be taken into their callers: a byte continues what they call, and follows it too."""
        follow = self._follow()
        ambiguous: dict[tuple[int, int], int] = {}  # (procedure, exit) -> bytes on which its states go on
        for state in self.states:
            if state.exit >= 0 and state.taken & follow[state.procedure][state.exit]:
                key = state.procedure, state.exit
                ambiguous[key] = ambiguous.get(key, 0) | state.taken
        found: set[int] = set()
        for (number, exit), taken in ambiguous.items():
            over = list(self.procedures[number].exits)[exit]
            for site in (self.sites[i] for i in self.procedures[number].sites):
                if taken & self._after(self.states[site.returns[exit]], follow):
                    found |= {call for call, _ in site.calls if self.nfa.call_rule[call] in over}
        return found

    def _after(self, state: State, follow: list[list[int]]) -> int:
        return state.taken | (follow[state.procedure][state.exit] if state.exit >= 0 else 0)

    def _follow(self) -> list[list[int]]:
        """For each exit of each procedure the bytes that may come after it."""
        follow = [[0] * len(p.exits) for p in self.procedures]
        changed = True
        while changed:
            changed = False
            for site in self.sites:
                after = follow[site.callee]
                for exit, number in enumerate(site.returns):
                    more = after[exit] | self._after(self.states[number], follow)
                    if more != after[exit]:
                        after[exit], changed = more, True
        return follow

    # Tables

    def automaton(self) -> Automaton:
        returns: list[int] = []
        pushes: dict[tuple[int, int], int] = {}  # (start, base) -> number
        bases: dict[tuple[int, ...], int] = {}
        push_of: list[int] = []
        for site in self.sites:
            key = tuple(site.returns)
            if key not in bases:
                bases[key] = len(returns)
                returns.extend(key)
            push_of.append(pushes.setdefault((self.procedures[site.callee].start, bases[key]), len(pushes)))
        start = self.procedures[self.root].start
        rows = [state.row for state in self.states]
        needs, push_needs = stack_needs(
            rows,
            push_of,
            [number for number, state in enumerate(self.states) if state.exit >= 0],
            [(at, returns[base : base + len(self._exits(at))]) for at, base in pushes],
        )
        if needs[start] > MAX_DEPTH:
            raise TooLarge(f"it cannot be written without nesting deeper than {MAX_DEPTH}")
        classes, count, members = byte_classes({mask for row in rows for mask, _, _ in row})
        if count * len(rows) > MAX_WORDS:
            raise TooLarge(f"its tables would need more than {MAX_WORDS} words")
        going, pushing = (
            [kind | _value(i, need) for i, need in enumerate(n)] for kind, n in ((GOTO, needs), (PUSH, push_needs))
        )
        actions = array("I", bytes(4 * count * len(rows)))
        for number, row in enumerate(rows):
            for mask, kind, value in row:
                action = going[value] if kind == GOTO else pushing[push_of[value]]
                for column in members[mask]:
                    actions[number * count + column] = action
        exits = array("I", [s.exit + 1 for s in self.states])
        pairs = array("I", [word for pair in pushes for word in pair])
        return Automaton(classes, count, actions, exits, pairs, array("I", returns), start)

    def _exits(self, start: int) -> dict[tuple[int, ...], int]:
        return self.procedures[self.states[start].procedure].exits


def kernel_of(configurations: set[int]) -> Kernel:
    return next(iter(configurations)) if len(configurations) == 1 else frozenset(configurations)


def split(by_mask: dict[int, set[int]]) -> list[tuple[int, set[int]]]:
    """The same as disjoint masks, each with everything that holds for its bytes."""
    union = shared = 0
    for mask in by_mask:
        shared |= union & mask
        union |= mask
    if not shared:
        return list(by_mask.items())
    parts: list[tuple[int, set[int]]] = []
    mixed: list[tuple[int, set[int]]] = [(shared, set())]
    for mask, values in by_mask.items():
        if mask & ~shared:
            parts.append((mask & ~shared, values))
        if mask & shared:
            refined = []
            for part, held in mixed:
                if part & mask:
                    refined.append((part & mask, held | values))
                if part & ~mask:
                    refined.append((part & ~mask, held))
            mixed = refined
    return merged(parts + mixed)


def merged(parts: list[tuple[int, set[int]]]) -> list[tuple[int, set[int]]]:
    """Parts with equal values as one."""
    found: dict[frozenset[int], int] = {}
    for mask, values in parts:
        key = frozenset(values)
        found[key] = found.get(key, 0) | mask
    return [(mask, set(key)) for key, mask in found.items()]


def _value(value: int, need: int) -> int:
    """An action without its kind."""
    return value << KIND_BITS | min(need, 255) << KIND_BITS + VALUE_BITS


def byte_classes(masks: set[int]) -> tuple[bytes, int, dict[int, list[int]]]:
    """The coarsest classes of bytes that every mask is made of: class by byte, how many, and the classes of each mask."""
    singles = {mask for mask in masks if not mask & mask - 1}
    several, rest = masks - singles, (1 << 256) - 1 - sum(singles)
    classes = [rest] if rest else []
    for mask in several:
        refined = []
        for part in classes:
            inside = part & mask
            if inside and inside != part:
                refined += [inside, part ^ inside]
            else:
                refined.append(part)
        classes = refined
    classes = sorted(classes + list(singles))
    table = bytearray(256)
    for number, part in enumerate(classes):
        while part:
            table[(part & -part).bit_length() - 1] = number
            part &= part - 1
    members = {mask: [table[mask.bit_length() - 1]] for mask in singles}
    members |= {mask: [number for number, part in enumerate(classes) if part & mask] for mask in several}
    return bytes(table), len(classes), members
