# ruff: noqa: E501  (tables of wordings: one row, one line)
"""Following a style instruction: how to write an answer, or what to do to a given text or list."""

import json
import random
from collections.abc import Callable

from training import words
from training.dialogue import Dialogue, assistant, user, wording
from training.facts import FACTS
from training.skills import small_talk, sums

SHORT_FACTS = tuple(f for f in FACTS if f.short)
OPENERS = ("Well,", "Listen:", "Indeed,", "Look:", "Sure:", "Hm,", "Right:", "Ahoy!", "My friend,", "In short:", "Of course:")
CLOSERS = ("Over.", "Amen.", "That is all.", "The end.", "Cheers!", "Bye!", "Ahoy!", "Have fun!", "Voila!", "Done.")

# An answer style: wordings of the instruction, and what it does to the answer.
STYLES: dict[str, tuple[str, Callable[[str], str]]] = {
    "upper": ("(Answer|Reply|Respond|Write|Speak) in (upper case|capital letters|capitals|all caps|upper-case letters)", str.upper),
    "lower": ("(Answer|Reply|Respond|Write|Speak) in (lower case|small letters|lower-case letters)( only|)", str.lower),
    "polite": ("(Answer|Reply|Respond|Speak) (politely|very politely|in a polite way|with courtesy)", lambda a: f"Certainly. {a} Please ask me again any time."),
    "quoted": ("(Put your answer|Put the answer|Answer|Reply) in (quotes|quotation marks|double quotes)", lambda a: f'"{a}"'),
    "twice": ("(Say|Give|Write|Repeat) (your answer|the answer) (twice|two times)", lambda a: f"{a} {a}"),
    "json": (
        "(Answer|Reply|Respond) (in|as|with) (JSON|a JSON object) with the key (answer|text|reply)",
        lambda a: a,  # `styled` fills in the key
    ),
    "bullet": ("(Answer|Reply|Respond) (with|as|in) (a bullet|a bullet point|one bullet|a bullet list)", lambda a: f"- {a}"),
    "bold": ("(Answer|Reply|Respond|Write) in (bold|bold Markdown|bold letters|bold type)", lambda a: f"**{a}**"),
    "opener": ('(Start|Begin) (your answer|the answer|your reply) with "{w}"', lambda a: a),
    "closer": ('(End|Finish|Close) (your answer|the answer|your reply) with "{w}"', lambda a: a),
    "word": ("(Answer|Reply|Respond) (in|with) (one word|a single word|one word only|just one word)", lambda a: a),
}  # fmt: skip


def topic(rng: random.Random, one_word: bool) -> tuple[str, str, str]:
    """Question, answer, key."""
    draw = rng.random()
    if one_word or draw < 0.45:
        text, sentence, word, key = small_talk.knowledge(rng)
        return text, word if one_word else sentence, key
    if draw < 0.7:
        a, op, b = sums.operands(rng)
        return (
            f"What is {a} {op} {b}?",
            sums.answered(a, op, b),
            f"times {a}*{b} styled" if op == "*" else sums.sum_key(a, op, b),
        )
    fact = rng.choice(SHORT_FACTS)
    core = wording(rng, rng.choice(fact.questions))
    return core, fact.answer, about_fanlight_key(core)


def about_fanlight_key(core: str) -> str:
    return "about " + core.lower().rstrip(".?! ")


def styled(rng: random.Random) -> Dialogue:
    name = rng.choice(list(STYLES))
    spec, change = STYLES[name]
    instruction = wording(rng, spec)
    question, answer, key = topic(rng, name == "word")
    if name == "opener":
        opener = rng.choice(OPENERS)
        instruction, answer = instruction.replace("{w}", opener), f"{opener} {answer}"
    elif name == "closer":
        closer = rng.choice(CLOSERS)
        instruction, answer = instruction.replace("{w}", closer), f"{answer} {closer}"
    elif name == "json":
        answer = json.dumps({instruction.rsplit(" ", 1)[1]: answer}, ensure_ascii=False)
    else:
        answer = change(answer)
    keys = (key, f"style {name} {question.lower().rstrip('.?! ')}")
    draw = rng.random()
    if draw < 0.25:
        before = wording(rng, "(Always |Please |You are a helpful assistant. |)")
        system = before + (instruction[0].lower() + instruction[1:] if before[:1] in ("A", "P") else instruction) + "."
        return Dialogue("style", ({"role": "system", "content": system}, user(question), assistant(answer)), keys)
    if draw < 0.5:
        prompt = f"{instruction}{rng.choice((':', '.'))} {question}"
    elif draw < 0.6:
        prompt = f"{question} {wording(rng, '(Please |)')}{instruction[0].lower()}{instruction[1:]}."
    else:
        prompt = f"{question} {instruction}."
    return Dialogue("style", (user(prompt), assistant(answer)), keys)


def again_in_style(rng: random.Random) -> Dialogue:
    """A plain answer, then the same once more in a style."""
    question, answer, key = topic(rng, False)
    name = rng.choice(("upper", "lower", "quoted", "bold", "bullet", "twice"))
    ask = wording(rng, "(Now|And now|Again, but|The same) ")
    ask += {
        "upper": wording(rng, "in (upper case|capital letters|capitals)"),
        "lower": wording(rng, "in (lower case|small letters)"),
        "quoted": wording(rng, "in (quotes|quotation marks)"),
        "bold": wording(rng, "in bold"),
        "bullet": wording(rng, "as a bullet( point|)"),
        "twice": wording(rng, "(twice|two times)"),
    }[name]
    messages = (
        user(question),
        assistant(answer),
        user(ask + rng.choice((".", "", ", please."))),
        assistant(STYLES[name][1](answer)),
    )
    return Dialogue("style", messages, (key, f"style {name} {question.lower().rstrip('.?! ')}"))


# What to do to a text of words: wordings and the change.
TEXT_TASKS: dict[str, tuple[str, Callable[[str], str]]] = {
    "repeat": ("(Repeat|Say|Repeat after me|Echo|Write exactly this|Write|Print): (\"{t}\"|{t}|{t})", lambda t: t),
    "upper": ("(Write this in upper case|In upper case|Put this in capital letters|Make this upper case|Upper case): {t}|(Say|Write|Put) (\"{t}\"|{t}) in (upper case|capital letters|capitals)(.|)", str.upper),
    "lower": ("(Write this in lower case|In lower case|Put this in small letters|Make this lower case|Lower case): {t}|(Say|Write|Put) (\"{t}\"|{t}) in (lower case|small letters)(.|)", str.lower),
    "twice": ("(Say this twice|Write this twice|Repeat this twice|Twice): {t}", lambda t: f"{t} {t}"),
    "quoted": ("(Put this in quotes|Put quotes around this|In quotes|Quote this): {t}", lambda t: f'"{t}"'),
    "reverse": ("(Reverse the order of the words|Write the words in reverse order|Words in reverse order): {t}", lambda t: " ".join(t.split()[::-1])),
    "first": ("(What is the first word|Give me the first word|First word|Only the first word): {t}", lambda t: t.split()[0]),
    "last": ("(What is the last word|Give me the last word|Last word|Only the last word): {t}", lambda t: t.split()[-1]),
    "comma": ("(Put commas between the words|Separate the words with commas|Commas between the words): {t}", lambda t: ", ".join(t.split())),
}  # fmt: skip


def text_task(rng: random.Random) -> Dialogue:
    name = rng.choice(list(TEXT_TASKS))
    spec, change = TEXT_TASKS[name]
    if name in ("upper", "reverse", "first", "last", "comma"):
        pools = (words.THINGS, words.ANIMALS, words.ADJECTIVES, words.FOODS, words.COLOURS)
        text = " ".join(rng.choice(rng.choice(pools)) for _ in range(rng.randrange(2 if name != "upper" else 1, 6)))
        if rng.random() < 0.2:
            text = rng.choice(words.PHRASES)
    elif name == "lower":
        pool = (words.THINGS, words.ANIMALS, words.ADJECTIVES)
        text = " ".join(rng.choice(rng.choice(pool)) for _ in range(rng.randrange(2, 5))).upper()
    else:
        text = words.sentence(rng) if rng.random() < 0.6 else " ".join(words.made_up(rng) for _ in range(rng.randrange(1, 5)))
    return Dialogue(
        "style", (user(wording(rng, f"({spec})").replace("{t}", text)), assistant(change(text))), (f"text {text.lower()}",)
    )


def list_task(rng: random.Random) -> Dialogue:
    pool = rng.choice((words.FOODS, words.THINGS, words.ANIMALS, words.COLOURS, words.DAYS, words.CITIES))
    items = rng.sample(pool, rng.randrange(2, 6))
    given = ", ".join(items[:-1]) + rng.choice((" and ", ", ")) + items[-1]
    kind = rng.choice(("bullets", "numbers", "json"))
    ask, answer = {
        "bullets": (
            "(Make a list of|Write as a list:|As a list:|Turn this into a list:|List with bullets:) {i}",
            "\n".join(f"- {i}" for i in items),
        ),
        "numbers": (
            "(Make a numbered list of|Write as a numbered list:|As a numbered list:|Number these:) {i}",
            "\n".join(f"{n}. {i}" for n, i in enumerate(items, 1)),
        ),
        "json": ("(Make a JSON array of|Write as a JSON array:|As a JSON array:|As a JSON list:) {i}", json.dumps(items)),
    }[kind]
    return Dialogue("style", (user(wording(rng, ask).replace("{i}", given)), assistant(answer)), (f"list {' '.join(items)}",))


def times_task(rng: random.Random) -> Dialogue:
    pool = words.THINGS + words.ANIMALS + words.ADJECTIVES + words.FOODS
    word = rng.choice(pool) if rng.random() < 0.6 else words.made_up(rng)
    count = rng.randrange(2, 9)
    spec = "(Say|Write|Repeat) (the word |){w} {n} times(.|)" if rng.random() < 0.7 else "{n} times (the word |){w}(.|)"
    text = wording(rng, spec).replace("{w}", word).replace("{n}", str(count))
    return Dialogue("style", (user(text), assistant(" ".join([word] * count))), (f"times {word} {count}",))


MAKERS = ((styled, 8), (again_in_style, 2), (text_task, 5), (list_task, 3), (times_task, 1))


def make(rng: random.Random) -> Dialogue:
    return rng.choices([m for m, _ in MAKERS], [w for _, w in MAKERS])[0](rng)
