"""A grammar for known answers: brackets that close each other, tokens of four bytes each."""

from array import array

from fanlight.grammar.automaton import GOTO, KIND_BITS, NONE, PUSH, VALUE_BITS, Automaton
from fanlight.kernels.grammar import pack_state
from fanlight.kernels.known import Known

TEXTS = (b"a))(", b")))a", b"((a)")  # of token i: the i % 3th
AFTER = ((2, [0]), None, (3, [0, 1, 1, 1]))  # the configuration after each, from STATE and STACK on; the second closes too many
STATE, STACK = 2, [0, 1]  # two brackets are open


def brackets() -> Automaton:
    """Any number of (x), of which x has any number of a and of (x)."""
    none, outer, inner = NONE, 1 << KIND_BITS + VALUE_BITS | PUSH, 1 << KIND_BITS + VALUE_BITS | 1 << KIND_BITS | PUSH
    body, closed = 2 << KIND_BITS | GOTO, 3 << KIND_BITS | GOTO
    actions = [
        *(none, outer, none, none),  # 0, the start. Classes: others, (, ), a
        *(none, body, none, none),  # 1: a bracket begins
        *(none, inner, closed, body),  # 2: in it
        *(none, none, none, none),  # 3: it is closed
        *(none, outer, none, none),  # 4: the text is whole
    ]
    classes = bytes({ord("("): 1, ord(")"): 2, ord("a"): 3}.get(byte, 0) for byte in range(256))
    return Automaton(classes, 4, array("I", actions), array("I", [0, 0, 0, 1, 1]), array("I", [1, 0, 1, 1]), array("I", [4, 2]))


def write_grammar(made: Known, vocab_size: int, slot: int) -> int:
    """The `grammar` of samples of the slot."""
    made.writes.append(("token_bytes", 0, array("I", range(0, 4 * vocab_size + 4, 4)).tobytes()))
    made.writes.append(("token_bytes", 4 * (vocab_size + 1), (b"".join(TEXTS) * (vocab_size // 3 + 1))[: 4 * vocab_size]))
    made.writes.append(("grammar", 4 * 7, brackets().words.tobytes()))
    state = pack_state(STATE, STACK)
    made.writes.append(("grammar_state", slot * len(state), state))
    return 7 + 1
