"""A grammar on the GPU: what the vocabulary spells, the automata in use, and where each slot stands in its own.

    token_bytes    u32: of each token where its bytes begin, and one more, then the bytes of all of them. A token without
                   bytes is refused where a grammar holds, but for an end of the text where the text is whole.
    grammar        u32: `Automaton.words` of those in use, each from its base on
    grammar_state  u32 [S, STATE_WORDS]: state, depth, and the stack

`logits` refuses what would leave the grammar, `sample` takes the chosen token's bytes: so steps follow each other without the
CPU. `Walk` is lib/grammar.wgsl in Python. It is a walk as fanlight.grammar.Matcher's, but a token may not leave more than
MAX_PUSHED levels above the lowest one that it came to."""

from array import array
from collections.abc import Iterator, Sequence

from fanlight.arrays import Array
from fanlight.grammar.automaton import GOTO, HEADER, KIND_BITS, MAX_DEPTH, PUSH, VALUE_BITS

STATE_WORDS = 2 + MAX_DEPTH
MAX_PUSHED = 16  # two in a word: what a thread keeps in registers
MAX_RETURNS = 1 << 16  # what half a word can say
MAX_LOOKS = 256  # at one byte; more than any grammar needs, so that a GPU never hangs
MASKED = -3e38  # the logit of what is refused; what is not is at least LEAST
LEAST = -2e38
IS_END = 0x8000_0000  # of a token's first word: it ends the text
NO_TOKEN = 0xFFFF_FFFF  # sampled where the grammar left none
BYTES_PER_TOKEN = 16  # of room, on average: twice what vocabularies take
SMALLEST_ROOM = 1 << 14


def constants(vocab_size: int) -> dict[str, int | float]:
    return {
        "STATE_WORDS": STATE_WORDS,
        "MAX_DEPTH": MAX_DEPTH,
        "MAX_PUSHED": MAX_PUSHED,
        "MAX_LOOKS": MAX_LOOKS,
        "TEXT_AT": vocab_size + 1,
        "MASKED": MASKED,
        "LEAST": LEAST,
        "NO_TOKEN": NO_TOKEN,
    }


def token_bytes_size(vocab_size: int) -> int:
    return 4 * (vocab_size + 1) + max(SMALLEST_ROOM, BYTES_PER_TOKEN * vocab_size)


def grammar_state_size(max_num_seqs: int) -> int:
    return 4 * STATE_WORDS * max_num_seqs


def pack_vocabulary(texts: Sequence[bytes], ends: frozenset[int], vocab_size: int) -> bytes:
    """The buffer `token_bytes`. Where there is too little room the longest tokens go without: they are refused then, and
    shorter ones spell the same."""
    room = token_bytes_size(vocab_size) - 4 * (vocab_size + 1)
    texts = [*texts[:vocab_size], *[b""] * (vocab_size - len(texts))]
    for end in ends:
        if end < vocab_size:
            texts[end] = b""
    excess = sum(map(len, texts)) - room
    for token in sorted(range(vocab_size), key=lambda t: -len(texts[t])) if excess > 0 else ():
        if excess > 0:
            excess -= len(texts[token])
            texts[token] = b""
    starts, at = array("I", bytes(4 * (vocab_size + 1))), 0
    for token, text in enumerate(texts):
        starts[token] = at
        at += len(text)
    starts[vocab_size] = at
    for end in ends:
        if end < vocab_size:
            starts[end] |= IS_END
    return starts.tobytes() + b"".join(texts) + bytes(-at % 4)


def unpack_vocabulary(words: "array[int]", vocab_size: int) -> Iterator[tuple[bytes, bool]]:
    """Each token's bytes, and whether it ends the text."""
    text = words[vocab_size + 1 :].tobytes()
    for token in range(vocab_size):
        start, end = words[token] & ~IS_END, words[token + 1] & ~IS_END
        yield text[start:end], bool(words[token] & IS_END)


def pack_state(state: int, stack: Sequence[int]) -> bytes:
    """A slot's part of `grammar_state`."""
    return array("I", [state, len(stack), *stack, *[0] * (MAX_DEPTH - len(stack))]).tobytes()


def words_of(values: Array) -> "array[int]":
    """Of u32 in NumPy: Python reads an array faster. (NumPy)"""
    return array("I", values.tobytes())


class Walk:
    """From a slot's configuration on. tables: `grammar` from the grammar's base on."""

    def __init__(self, tables: "array[int]", configuration: "array[int]") -> None:
        self._tables = tables
        self._num_classes, _, self._classes, self._actions, self._exits, self._pushes, self._returns = tables[: len(HEADER)]
        self._configuration = configuration
        self._begin()

    def _begin(self) -> None:
        self.state, depth = self._configuration[:2]
        self.stack = self._configuration[2 : 2 + depth]
        self._floor = depth  # the lowest level that the walk came to

    def allows(self, text: bytes, is_end: bool, may_end: bool) -> bool:
        """Whether a token may be drawn now."""
        self._begin()
        return self._takes(text) if text else is_end and may_end and self._is_complete()

    def take(self, text: bytes) -> "array[int]":
        """The configuration after a token that is allowed."""
        self._begin()
        self._takes(text)
        return array("I", pack_state(self.state, self.stack))

    def _takes(self, text: bytes) -> bool:
        return all(map(self._step, text))

    def _step(self, byte: int) -> bool:
        tables = self._tables
        column = tables[self._classes + byte]
        for _ in range(MAX_LOOKS):
            action = tables[self._actions + self.state * self._num_classes + column]
            kind, value = action & (1 << KIND_BITS) - 1, action >> KIND_BITS & (1 << VALUE_BITS) - 1
            if len(self.stack) + (action >> KIND_BITS + VALUE_BITS) > MAX_DEPTH:
                return False
            if kind == GOTO:
                self.state = value
                return True
            if kind == PUSH:
                if len(self.stack) == self._floor + MAX_PUSHED:
                    return False
                self.stack.append(tables[self._pushes + 2 * value + 1])
                self.state = tables[self._pushes + 2 * value]
            elif not self._pop():
                return False
        return False

    def _pop(self) -> bool:
        exit = self._tables[self._exits + self.state]
        if not exit or not self.stack:
            return False
        self.state = self._tables[self._returns + self.stack.pop() + exit - 1]
        self._floor = min(self._floor, len(self.stack))
        return True

    def _is_complete(self) -> bool:
        while self.stack:
            if not self._pop():
                return False
        return self._tables[self._exits + self.state] > 0
