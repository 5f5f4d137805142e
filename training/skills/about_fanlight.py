"""Questions about Fanlight; the held-out part is the wording of the question."""

import random

from training.dialogue import Dialogue, assistant, casual, user, wording
from training.facts import FACTS, Fact

PREFIXES = (
    "",
    "",
    "",
    "",
    "",
    "Hi! ",
    "Hello, ",
    "Please tell me: ",
    "One question: ",
    "Quick question: ",
    "So, ",
    "OK, ",
    "And ",
)


def question(rng: random.Random, fact: Fact) -> tuple[str, str]:
    """The text as typed, and the key of its wording."""
    core = wording(rng, rng.choice(fact.questions))
    prefix = rng.choice(PREFIXES)
    joined = core[0].lower() + core[1:] if prefix.endswith(", ") and not core.startswith("I ") else core
    text = casual(rng, prefix + joined)
    return (text.lower() if rng.random() < 0.12 else text), "about " + core.lower().rstrip(".?! ")


def make(rng: random.Random) -> Dialogue:
    messages, keys = [], []
    for _ in range(1 if rng.random() < 0.8 else 2):
        fact = rng.choice(FACTS)
        text, key = question(rng, fact)
        messages += [user(text), assistant(fact.answer)]
        keys.append(key)
    return Dialogue("about_fanlight", tuple(messages), tuple(keys))
