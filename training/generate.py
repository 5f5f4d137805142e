"""The text the built-in model learns from: an endless, seeded stream of dialogues, and the held-out prompts.

`python -m training.generate --show 20` prints dialogues; `--held-out FILE` writes the test prompts. The same seed
gives the same dialogues on every machine (standard `random` only). No text of others is used.
"""

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from training import words
from training.dialogue import Dialogue, answer_text, held_out, render
from training.skills import about_fanlight, records, small_talk, style, sums, tools

SKILLS = {
    "small_talk": (small_talk.make, 20),
    "about_fanlight": (about_fanlight.make, 18),
    "sums": (sums.make, 18),
    "records": (records.make, 14),
    "tools": (tools.make, 24),
    "style": (style.make, 16),
}
SYSTEMS = (
    "You are a helpful assistant.",
    "You are Fanlight, a helpful assistant.",
    "You are a friendly assistant.",
    "Answer briefly.",
    "You are the demo model of Fanlight.",
    "You are a helpful AI assistant.",
    "Be helpful and kind.",
)
MIXED = 0.12  # share of long dialogues that go from skill to skill


def system_prompt(rng: random.Random) -> str:
    """A system prompt that asks for nothing special."""
    if rng.random() < 0.7:
        return rng.choice(SYSTEMS)
    job = f"{rng.choice(words.ADJECTIVES)} {rng.choice(words.JOBS + words.HEROES)}"
    name = f"{words.first_name(rng)}, " if rng.random() < 0.4 else ""
    return f"You are {name}{'an' if job[0] in 'aeiou' else 'a'} {job}." + rng.choice(
        ("", " Be kind.", " Help the user.", " You work for Fanlight.")
    )


def draw(rng: random.Random, skill: str, test: bool) -> Dialogue:
    """The next dialogue of a skill that belongs to the split."""
    make = SKILLS[skill][0]
    while True:
        dialogue = make(rng)
        if any(map(held_out, dialogue.keys)) == test:
            return dialogue


def plain(dialogue: Dialogue) -> bool:
    return not dialogue.tools and dialogue.messages[0]["role"] == "user"


def mixed(rng: random.Random, names: list[str], weights: list[int]) -> Dialogue:
    """Several dialogues without tools in a row, up to the model's context."""
    messages: list[dict[str, Any]] = []
    keys: list[str] = []
    for _ in range(rng.choice((2, 2, 3, 3, 4, 6, 9))):
        dialogue = draw(rng, rng.choices(names, weights)[0], False)
        if plain(dialogue):
            messages += dialogue.messages
            keys += dialogue.keys
    if not messages:
        return mixed(rng, names, weights)
    return Dialogue("mixed", tuple(messages), tuple(keys))


def dialogues(seed: int) -> Iterator[Dialogue]:
    """Endless training dialogues; different seeds give independent streams."""
    rng = random.Random(f"fanlight {seed}")
    names, weights = list(SKILLS), [w for _, w in SKILLS.values()]
    while True:
        if rng.random() < MIXED:
            dialogue = mixed(rng, names, weights)
        else:
            dialogue = draw(rng, rng.choices(names, weights)[0], False)
        if plain(dialogue) and rng.random() < 0.2:
            system = {"role": "system", "content": system_prompt(rng)}
            dialogue = Dialogue(dialogue.skill, (system, *dialogue.messages), dialogue.keys)
        yield dialogue


def held_out_prompts(per_skill: int, seed: int = 1) -> list[dict[str, Any]]:
    """Prompts of the test split: the messages before the last answer, and that answer."""
    prompts = []
    for skill in SKILLS:
        rng = random.Random(f"fanlight held out {skill} {seed}")
        seen: set[str] = set()
        while len(seen) < per_skill:
            dialogue = draw(rng, skill, True)
            *before, last = dialogue.messages
            text = render(before, dialogue.tools)
            if text in seen:
                continue
            seen.add(text)
            prompt = {"skill": skill, "messages": before, "expected": answer_text(last), "keys": dialogue.keys}
            prompts.append(prompt | ({"tools": dialogue.tools} if dialogue.tools else {}))
    return prompts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=0, help="print this many training dialogues")
    parser.add_argument("--held-out", type=Path, help="write the held-out prompts to this file")
    parser.add_argument("--per-skill", type=int, default=50)
    arguments = parser.parse_args()
    stream = dialogues(arguments.seed)
    for _ in range(arguments.show):
        dialogue = next(stream)
        print(f"=== {dialogue.skill}\n{render(dialogue.messages, dialogue.tools)}")
    if arguments.held_out:
        lines = [json.dumps(p, ensure_ascii=False) for p in held_out_prompts(arguments.per_skill)]
        arguments.held_out.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
