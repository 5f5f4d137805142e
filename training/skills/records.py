"""Turning a sentence into a JSON record whose keys the prompt names (or, asked without keys, the schema's own)."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from training import words
from training.dialogue import Dialogue, assistant, user, wording


@dataclass(frozen=True, slots=True)
class Schema:
    name: str
    fields: dict[str, Callable[[random.Random], Any]]
    names: dict[str, tuple[str, ...]]  # other names that a prompt may use for a field
    sentences: tuple[str, ...]


def _price(rng: random.Random) -> float | int:
    return rng.randrange(1, 100) if rng.random() < 0.5 else rng.randrange(1, 100) + rng.choice((0.5, 0.25, 0.75, 0.9))


def _title(rng: random.Random) -> str:
    return f"The {rng.choice(words.ADJECTIVES).capitalize()} {rng.choice(words.THINGS + words.ANIMALS).capitalize()}"


def _date(rng: random.Random) -> str:
    return f"{rng.randrange(1, 29)} {rng.choice(words.MONTHS)}"


def _mail(rng: random.Random) -> str:
    return f"{words.made_up(rng)}@{words.made_up(rng)}.example"


SCHEMAS = (
    Schema(
        "person",
        {"name": words.full_name, "age": lambda r: r.randrange(18, 95), "city": words.place},
        {"city": ("city", "town", "place"), "name": ("name", "person"), "age": ("age", "years")},
        (
            "{name} is {age} years old and lives in {city}.",
            "{name}, {age}, (lives in|comes from|works in) {city}.",
            "(My neighbour|Our guest|My friend) {name} from {city} is {age}.",
            "At the age of {age}, {name} moved to {city}.",
            "In {city} I met {name}, who is {age} years old.",
        ),
    ),
    Schema(
        "job",
        {"name": words.full_name, "job": lambda r: r.choice(words.JOBS), "city": words.place},
        {"job": ("job", "profession", "work"), "city": ("city", "town", "place")},
        (
            "{name} works as a {job} in {city}.",
            "The {job} {name} lives in {city}.",
            "{name} from {city} is a {job}.",
            "In {city} everyone knows the {job} {name}.",
        ),
    ),
    Schema(
        "event",
        {
            "event": lambda r: r.choice(words.EVENTS),
            "day": lambda r: r.choice(words.DAYS),
            "time": words.clock,
            "place": words.place,
        },
        {"event": ("event", "title", "what"), "day": ("day", "weekday"), "place": ("place", "city", "where")},
        (
            "The {event} is on {day} at {time} in {place}.",
            "On {day} at {time} there is the {event} in {place}.",
            "(Come|Please come) to the {event} in {place} on {day} at {time}.",
            "We moved the {event} in {place} to {day}, {time}.",
        ),
    ),
    Schema(
        "order",
        {
            "customer": words.first_name,
            "quantity": lambda r: r.randrange(2, 60),
            "item": lambda r: r.choice(words.FOODS) if r.random() < 0.3 else r.choice(words.THINGS) + "s",
            "price": _price,
        },
        {"customer": ("customer", "buyer", "name"), "quantity": ("quantity", "count", "number"), "item": ("item", "product")},
        (
            "{customer} orders {quantity} {item} for {price} euros.",
            "{customer} bought {quantity} {item} and paid {price} euros.",
            "(Send|Please send) {quantity} {item} to {customer} at a price of {price} euros.",
            "For {price} euros, {customer} gets {quantity} {item}.",
        ),
    ),
    Schema(
        "book",
        {"title": _title, "author": words.full_name, "year": lambda r: r.randrange(1900, 2026)},
        {"title": ("title", "book"), "author": ("author", "writer"), "year": ("year", "published")},
        (
            "{title} by {author} (was published|came out|appeared) in {year}.",
            "In {year}, {author} wrote {title}.",
            "{author} published {title} in {year}.",
            "The book {title} ({year}) is by {author}.".replace("(", "").replace(")", ""),
        ),
    ),
    Schema(
        "trip",
        {"from": words.place, "to": words.place, "date": _date, "traveller": words.first_name},
        {"from": ("from", "start", "origin"), "to": ("to", "destination"), "traveller": ("traveller", "passenger", "name")},
        (
            "{traveller} (flies|travels|goes) from {from} to {to} on {date}.",
            "On {date}, {traveller} takes the train from {from} to {to}.",
            "{traveller} leaves {from} for {to} on {date}.",
        ),
    ),
    Schema(
        "contact",
        {"name": words.full_name, "email": _mail, "phone": lambda r: str(r.randrange(100000, 999999))},
        {"email": ("email", "mail"), "phone": ("phone", "telephone")},
        (
            "(Write to|You can reach) {name} at {email} or call {phone}.",
            "{name}: {email}, phone {phone}.",
            "The number of {name} is {phone} and the address is {email}.",
        ),
    ),
    Schema(
        "reading",
        {
            "room": lambda r: r.choice(words.ROOMS),
            "temperature": lambda r: r.randrange(5, 35),
            "humidity": lambda r: r.randrange(20, 90),
        },
        {"room": ("room", "place"), "temperature": ("temperature", "degrees")},
        (
            "In the {room} it is {temperature} degrees with {humidity} percent humidity.",
            "The {room} has {temperature} degrees and a humidity of {humidity} percent.",
            "The sensor in the {room} reads {temperature} degrees, {humidity} percent humidity.",
        ),
    ),
    Schema(
        "thing",
        {
            "item": lambda r: r.choice(words.THINGS),
            "colour": lambda r: r.choice(words.COLOURS),
            "price": _price,
            "room": lambda r: r.choice(words.ROOMS),
        },
        {"item": ("item", "thing", "object"), "colour": ("colour", "color"), "room": ("room", "place")},
        (
            "The {colour} {item} in the {room} cost {price} euros.",
            "I put the {colour} {item}, which cost {price} euros, in the {room}.",
            "For {price} euros we got a {colour} {item} for the {room}.",
        ),
    ),
)

WITH_KEYS = (
    "(Turn|Convert|Change|Put) (this sentence|the sentence|this text|this) into (JSON|a JSON record|a JSON object) "
    "with the (keys|fields) {keys}: {text}",
    "(Extract|Give me|Return|Write) {keys} as JSON(:| from this text:| from this sentence:) {text}",
    "{text} (Give|Return|Write) this as JSON with {keys}.",
    "{text}\n\n(JSON|As JSON), (keys|fields): {keys}",
)
WITHOUT_KEYS = (
    "(Turn|Convert|Change|Put) (this sentence|this text|this) into (JSON|a JSON record|a JSON object): {text}",
    "(Write|Return|Give me) this (sentence |)as JSON: {text}",
    "As JSON: {text}",
)
SYSTEM = "(Answer|Reply|Respond) (only |)(with|in) JSON( only|)(.| with the keys {keys}.)"


def joined(rng: random.Random, names: list[str]) -> str:
    return ", ".join(names) if rng.random() < 0.5 or len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def make(rng: random.Random) -> Dialogue:
    schema = rng.choice(SCHEMAS)
    values = {field: draw(rng) for field, draw in schema.fields.items()}
    text = wording(rng, rng.choice(schema.sentences))
    for field, value in values.items():
        text = text.replace("{" + field + "}", str(value))
    fields = [f for f in schema.fields]
    chosen = fields
    draw = rng.random()
    if draw < 0.75:  # the prompt names the keys: any of them, in any order, under any of their names
        chosen = rng.sample(fields, rng.randrange(1 if rng.random() < 0.2 else 2, len(fields) + 1))
        if rng.random() < 0.5:
            chosen = [f for f in fields if f in chosen]
        shown = {f: rng.choice(schema.names.get(f, (f,))) for f in chosen}
    else:
        shown = {f: f for f in chosen}
    record = {shown[f]: values[f] for f in chosen}
    keys = joined(rng, [shown[f] for f in chosen])
    messages = []
    if draw < 0.1:
        system = wording(rng, SYSTEM)
        spec = "{text}" if "{keys}" in system else rng.choice(WITH_KEYS)
        messages.append({"role": "system", "content": system.replace("{keys}", keys)})
    else:
        spec = rng.choice(WITH_KEYS if draw < 0.75 else WITHOUT_KEYS)
    prompt = wording(rng, spec).replace("{keys}", keys).replace("{text}", text)
    messages += [user(prompt), assistant(json.dumps(record, ensure_ascii=False))]
    held = tuple(
        f"record {schema.name} {f} {values[f]}" for f in fields if isinstance(values[f], str) and " " in str(values[f])
    )
    whole = f"record {schema.name} " + " | ".join(str(v) for v in values.values())
    return Dialogue("records", tuple(messages), (*held[:1], whole))
