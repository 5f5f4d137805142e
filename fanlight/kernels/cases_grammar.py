"""Random automata, vocabularies and configurations, for cases of the sampler.  NumPy only."""

from array import array

from fanlight.arrays import Array
from fanlight.grammar.automaton import GOTO, KIND_BITS, NONE, PUSH, VALUE_BITS, Automaton, Matcher
from fanlight.kernels.case import SEQS, Random
from fanlight.kernels.grammar import pack_state, pack_vocabulary

ALPHABET = [c.encode() for c in 'ab{}[]",:0é€😀']  # what tokens are made of
NUM_EXITS = 3  # of a rule


def random_automaton(rng: Random, num_states: int = 40, num_pushes: int = 12) -> Automaton:
    """Rules begin in states that do not accept, so that no look goes round in a circle."""
    letters = sorted(set(b"".join(ALPHABET)))
    classes = bytes(1 + letters.index(byte) % 9 if byte in letters else 0 for byte in range(256))
    starts = rng.integers(0, num_states // 4, num_pushes)
    actions = array("I")
    for kind in rng.choice([NONE, GOTO, PUSH], num_states * 10, p=[0.3, 0.45, 0.25]).tolist():
        value = {NONE: 0, GOTO: int(rng.integers(0, num_states)), PUSH: int(rng.integers(0, num_pushes))}[kind]
        need = int(rng.integers(1, 6)) if kind == PUSH else int(rng.integers(0, 5)) * (kind == GOTO)
        actions.append(need << KIND_BITS + VALUE_BITS | value << KIND_BITS | kind)
    accepts = rng.integers(1, NUM_EXITS + 1, num_states) * (rng.random(num_states) < 0.7)
    exits = array("I", [0 if state < num_states // 4 else int(e) for state, e in enumerate(accepts)])
    pushes = array("I", [int(word) for i in range(num_pushes) for word in (starts[i], i * NUM_EXITS)])
    returns = array("I", rng.integers(0, num_states, num_pushes * NUM_EXITS).tolist())
    return Automaton(classes, 10, actions, exits, pushes, returns)


def random_vocabulary(rng: Random, vocab_size: int) -> tuple[list[bytes], frozenset[int]]:
    """Letters, pieces of letters, and runs of them; three without text, of which two end the text."""
    letters = b"".join(ALPHABET)
    texts = [bytes([letters[i % len(letters)]]) for i in range(min(vocab_size, len(letters)))]
    while len(texts) < vocab_size:
        texts.append(b"".join(ALPHABET[i] for i in rng.integers(0, len(ALPHABET), rng.integers(1, 8)))[rng.integers(0, 2) :])
    for token in (vocab_size - 2, vocab_size - 1, vocab_size // 2):
        texts[token] = b""
    return texts, frozenset([vocab_size - 1, vocab_size // 2])


def random_walk(rng: Random, automaton: Automaton, most: int = 60) -> Matcher:
    """As far as the automaton goes, up to so many bytes."""
    matcher = Matcher(automaton)
    for _ in range(int(rng.integers(0, most))):
        if not (classes := matcher.next_classes()):
            break
        matcher.accept(bytes([automaton.classes.index(classes[int(rng.integers(0, len(classes)))])]))
    return matcher


def grammar_contents(rng: Random, vocab_size: int, free: tuple[int, ...] = ()) -> tuple[list[int], dict[str, Array]]:
    """Of each slot where its grammar begins, plus 1, and what the bindings hold. Slots `free` have none."""
    import numpy as np

    tables, states, bases = array("I", [0] * 3), b"", []
    for slot in range(SEQS):
        automaton = random_automaton(rng)
        matcher = max((random_walk(rng, automaton) for _ in range(8)), key=lambda found: len(found.stack))
        bases.append(0 if slot in free else len(tables) + 1)
        tables += automaton.words
        states += pack_state(matcher.state, matcher.stack)
    contents: dict[str, Array] = {
        "token_bytes": np.frombuffer(pack_vocabulary(*random_vocabulary(rng, vocab_size), vocab_size), np.uint8),
        "grammar": np.array(tables, np.uint32),
        "grammar_state": np.frombuffer(states, np.uint32),
    }
    return bases, contents
