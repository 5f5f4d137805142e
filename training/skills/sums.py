"""Little sums: addition and subtraction of 0..99 (results may be negative) and the multiplication table to 12."""

import random

from training.dialogue import Dialogue, assistant, casual, user, wording

BEYOND = "That is beyond me: I only add and subtract numbers up to 99 and know the multiplication table up to 12."

PLAIN = {
    "+": "(What is|What's|How much is|Calculate|Compute|Work out|Please add up|Tell me|) {a} (+|plus) {b}(?|)",
    "-": "(What is|What's|How much is|Calculate|Compute|Work out|Tell me|) {a} (-|minus) {b}(?|)",
    "*": "(What is|What's|How much is|Calculate|Compute|Work out|Tell me|) {a} (*|x|times) {b}(?|)",
}
SPOKEN = {
    "+": "(Add|Please add) {a} (and|to) {b}.|What is the sum of {a} and {b}?|Can you add {a} and {b}?",
    "-": "(Subtract|Take|Please take) {b} (away |)from {a}.|What is {b} less than {a}?|What is left of {a} if I take away {b}?",
    "*": "(Multiply|Please multiply) {a} (by|with) {b}.|What is the product of {a} and {b}?",
}
STORIES = {
    "+": "(I have|We have|You have|They have) {a} {things} and (get|buy|find) {b} more. How many {things} (are there|is that)?",
    "-": "(There were|I had|{who} had) {a} {things} and {b} (were eaten|are gone|were given away). How many (are|{things} are) left?",  # noqa: E501
    "*": "There are {a} boxes with {b} {things} each. How many {things} (are there|is that)(| in all)?",
}
THINGS = "apples books coins cards pens stamps eggs keys plums cups shells nuts".split()


def result(a: int, op: str, b: int) -> int:
    return {"+": a + b, "-": a - b, "*": a * b}[op]


def operands(rng: random.Random) -> tuple[int, str, int]:
    op = rng.choice("++++----*")
    if op == "*":
        return rng.randrange(13), op, rng.randrange(13)
    a, b = rng.randrange(100), rng.randrange(100)
    return (max(a, b), op, min(a, b)) if op == "-" and rng.random() < 0.6 else (a, op, b)


def sum_key(a: int, op: str, b: int) -> str:
    """The multiplication table must be seen whole, so there the wording is held out, not the pair (see `make`)."""
    return f"sum {a}{op}{b}"


NUMBERS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen twenty""".split()


def question(rng: random.Random, a: int, op: str, b: int) -> str:
    if a <= 20 and b <= 20 and rng.random() < 0.3:
        spec = "(What is|What's|How much is|) {a} " + {"+": "plus", "-": "minus", "*": "times"}[op] + " {b}(?|)"
        return wording(rng, spec).replace("{a}", NUMBERS[a]).replace("{b}", NUMBERS[b]).strip()
    if rng.random() < 0.25:
        return wording(rng, f"({SPOKEN[op]})").replace("{a}", str(a)).replace("{b}", str(b))
    text = wording(rng, PLAIN[op]).replace("{a}", str(a)).replace("{b}", str(b)).strip()
    return text.replace(f" {op} ", op) if rng.random() < 0.1 else text


def story(rng: random.Random, a: int, op: str, b: int) -> str:
    text = wording(rng, STORIES[op])
    for slot, value in (("{a}", a), ("{b}", b), ("{things}", rng.choice(THINGS)), ("{who}", rng.choice(("Ana", "Tom", "Mia")))):
        text = text.replace(slot, str(value))
    return text


def answered(a: int, op: str, b: int) -> str:
    return f"{a} {op} {b} = {result(a, op, b)}"


def too_large(rng: random.Random) -> Dialogue:
    if rng.random() < 0.4:
        a, b, spec = rng.randrange(1, 1000), rng.randrange(1, 100), "(/|divided by)"
    else:
        large, other = (rng.randrange(100, 10 ** rng.randrange(3, 6)), rng.randrange(10 ** rng.randrange(1, 5)))
        a, b = (large, other) if rng.random() < 0.6 else (other, large)
        spec = "(+|-|*|/|x|times|plus|minus|divided by)"
    text = wording(rng, "(What is|What's|How much is|Calculate|Compute|Work out|) {a} " + spec + " {b}(?|)").strip()
    return Dialogue("sums", (user(text.replace("{a}", str(a)).replace("{b}", str(b))), assistant(BEYOND)), (f"large {a} {b}",))


def make(rng: random.Random) -> Dialogue:
    draw = rng.random()
    if draw < 0.06:
        return too_large(rng)
    a, op, b = operands(rng)
    told = draw < 0.2 and (op != "-" or a >= b)
    text = story(rng, a, op, b) if told else casual(rng, question(rng, a, op, b))
    messages = [user(text), assistant(answered(a, op, b))]
    keys = [f"times {text}" if op == "*" else sum_key(a, op, b)]
    if draw > 0.85 and op != "*":  # go on from the result
        total, more, next_op = result(a, op, b), rng.randrange(100), rng.choice("+-")
        if 0 <= total <= 99:
            spec = (
                "(And plus|Now add|Then add|Add) {b}(.|)"
                if next_op == "+"
                else "(And minus|Now subtract|Then take away) {b}(.|)"
            )
            messages += [user(wording(rng, spec).replace("{b}", str(more))), assistant(answered(total, next_op, more))]
            keys.append(sum_key(total, next_op, more))
    return Dialogue("sums", tuple(messages), tuple(keys))
