"""The grammars of answers, on the GPU: where each one's tables lie in the buffer `grammar`, and where a slot stands in its own.
Knows of text the bytes of each token.

What a grammar forces in the middle of an answer is cut into tokens as the vocabulary cuts that text, whether a step draws them
or they need none: so an answer's tokens do not depend on how far the steps in flight were.

A grammar has its place from when its sequence gets a slot until it leaves; places that nobody has stay for the next request
with an equal grammar until their room is needed, the least recently used first.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import takewhile
from weakref import WeakKeyDictionary

from fanlight.compiler.program import MAX_RETURNS, NO_TOKEN, STATE_WORDS, Program, pack_state, pack_vocabulary
from fanlight.engine.sequence import Sequence as Answer
from fanlight.errors import DeviceError, FanlightError, RequestError
from fanlight.grammar import Automaton, Matcher
from fanlight.runtime.device import Device

WORD = 4
FEWEST_KNOWN = 4  # tokens of a stretch: fewer are drawn as soon
MAX_STRETCHES = 1024  # whose tokens are kept


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """texts: by token id, empty for control tokens; ends: the ids that end a text; cut: the tokens of a part of a text."""

    texts: Sequence[bytes]
    ends: frozenset[int]
    cut: Callable[[bytes], Awaitable[list[int]]] | None = None


@dataclass(slots=True)
class _Place:
    start: int  # words
    size: int
    num_users: int = 0
    is_written: bool = False


class Grammars:
    def __init__(self, program: Program) -> None:
        self._program = program
        self._capacity = sum(b.size // WORD for b in program.buffers if b.name == "grammar")
        self._places: dict[bytes, _Place] = {}  # the least recently used first
        self._keys: WeakKeyDictionary[Automaton, bytes] = WeakKeyDictionary()
        self._stretches: dict[bytes, list[int]] = {}
        self._is_uploaded = False
        self.open_vocabulary: Callable[[], Vocabulary] | None = None  # asked once, when the first grammar comes
        self._vocabulary: Vocabulary | None = None

    @property
    def vocabulary(self) -> Vocabulary:
        if self._vocabulary is None:
            if self.open_vocabulary is None:
                raise RequestError("this engine does not know what its tokens spell, so no grammar can hold")
            self._vocabulary = self.open_vocabulary()
        return self._vocabulary

    def check(self, automaton: Automaton) -> None:
        """Raises RequestError where the grammar can never be placed."""
        self.vocabulary  # noqa: B018
        size = len(automaton.words)
        if size > self._capacity or len(automaton.returns) > MAX_RETURNS:
            raise RequestError(
                f"the grammar is too large: its tables take {size * WORD:,} bytes with {len(automaton.returns):,} returns;"
                f" there is room for {self._capacity * WORD:,} bytes and {MAX_RETURNS:,} returns",
                param="response_format",
                hint="a smaller schema, or load the model with a larger grammar_bytes",
            )

    # --- places ------------------------------------------------------------------------------------------------------
    def admit(self, answer: Answer) -> bool:
        """Find the answer's grammar a place; whether there is room beside those of running answers."""
        automaton = answer.params.grammar
        if automaton is None:
            return True
        key = self._key(automaton)
        place = self._places.pop(key, None)
        if place is None:
            start = self._room_for(len(automaton.words))
            if start is None:
                return False
            place = _Place(start, len(automaton.words))
        self._places[key] = place
        place.num_users += 1
        answer.grammar_at = place.start + 1
        return True

    def release(self, answer: Answer) -> None:
        if answer.params.grammar is not None:
            self._places[self._key(answer.params.grammar)].num_users -= 1

    def forget(self) -> None:
        """Nothing that was written is there any more. No answer may have a place."""
        self._places.clear()
        self._is_uploaded = False

    def _key(self, automaton: Automaton) -> bytes:
        if automaton not in self._keys:
            self._keys[automaton] = sha256(automaton.words.tobytes()).digest()
        return self._keys[automaton]

    def _room_for(self, size: int) -> int | None:
        while (start := self._gap(size)) is None:
            unused = next((key for key, place in self._places.items() if not place.num_users), None)
            if unused is None:
                return None
            del self._places[unused]
        return start

    def _gap(self, size: int) -> int | None:
        """The first gap that is large enough."""
        end = 0
        for place in sorted(self._places.values(), key=lambda place: place.start):
            if place.start - end >= size:
                return end
            end = place.start + place.size
        return end if self._capacity - end >= size else None

    # --- the device --------------------------------------------------------------------------------------------------
    def write(self, answer: Answer, device: Device) -> None:
        """What the GPU must know of an answer that just got its slot. Steps that were queued before read what was there."""
        automaton, matcher = answer.params.grammar, answer.matcher
        if automaton is None or matcher is None or answer.slot is None:
            return
        if not self._is_uploaded:
            vocabulary = self.vocabulary
            device.write("token_bytes", 0, pack_vocabulary(vocabulary.texts, vocabulary.ends, self._program.vocab_size))
            self._is_uploaded = True
        place = self._places[self._key(automaton)]
        if not place.is_written:
            device.write("grammar", place.start * WORD, automaton.words.tobytes())
            place.is_written = True
        self.write_state(answer, device)

    def write_state(self, answer: Answer, device: Device) -> None:
        """Where the answer stands after the tokens that are known, for whoever draws next."""
        if (matcher := answer.matcher) is not None and answer.slot is not None:
            device.write("grammar_state", answer.slot * STATE_WORDS * WORD, pack_state(matcher.state, matcher.stack))

    # --- tokens ------------------------------------------------------------------------------------------------------
    def matcher(self, automaton: Automaton | None, token_ids: Sequence[int]) -> Matcher | None:
        """After the tokens. Raises RequestError where they are not the beginning of what the grammar allows."""
        if automaton is None:
            return None
        matcher = Matcher(automaton)
        if not matcher.accept(b"".join(self._text(token_id) for token_id in token_ids)):
            raise RequestError("the beginning of the answer is none that its grammar allows", param="response_format")
        return matcher

    def _text(self, token_id: int) -> bytes:
        return self.vocabulary.texts[token_id] if token_id < len(self.vocabulary.texts) else b""

    def stretch(self, answer: Answer) -> bytes:
        """What must come next, if it is long enough to matter. Tokens that are known have no log-probability, so an answer that
        is asked for some has none of these."""
        if answer.matcher is None or answer.params.logprobs is not None or self.vocabulary.cut is None:
            return b""
        text = answer.matcher.forced()
        return text if len(text) > FEWEST_KNOWN else b""

    async def known(self, text: bytes) -> list[int]:
        """The tokens of a stretch but its last: the model chooses how the text goes on from there."""
        if text not in self._stretches:
            assert self.vocabulary.cut is not None
            found = (await self.vocabulary.cut(text))[:-1]
            if len(self._stretches) >= MAX_STRETCHES:
                self._stretches.clear()
            self._stretches[text] = found
        return self._stretches[text]

    def take(self, answer: Answer, token_ids: Sequence[int]) -> list[int]:
        """Go on behind known tokens: as many of them as may be in the answer before a draw; none if they are few."""
        stops = answer.stop_token_ids | self.vocabulary.ends
        known = list(takewhile(lambda i: i not in stops, token_ids[: max(0, answer.num_to_draw - 1)]))
        if answer.matcher is None or len(known) < FEWEST_KNOWN or not answer.matcher.accept(b"".join(map(self._text, known))):
            return []
        return known

    def follow(self, answer: Answer, token_id: int) -> FanlightError | None:
        """Take a drawn token as the GPU did. An error ends the answer."""
        matcher = answer.matcher
        if matcher is None:
            return None
        if token_id == NO_TOKEN:
            return RequestError(
                "the answer cannot go on: no token of the vocabulary spells what the grammar wants next",
                param="response_format",
                hint="a grammar of characters that the model's vocabulary has",
            )
        text = self._text(token_id)
        is_allowed = matcher.accept(text) if text else token_id in self.vocabulary.ends and matcher.is_complete
        return None if is_allowed else DeviceError(f"the GPU drew token {token_id}, which the grammar forbids")
