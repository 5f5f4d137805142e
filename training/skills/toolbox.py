# ruff: noqa: E501  (tables of wordings: one row, one line)
"""The tools that the tool skill draws from: their possible names, their arguments, requests for them and their results.

A `Kind` is one sort of tool. Each draw gives it one of its names and argument names, so that the model must read the
list in the prompt instead of knowing it by heart.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from training import words
from training.dialogue import wording

Draw = Callable[[random.Random], Any]


@dataclass(frozen=True, slots=True)
class Argument:
    names: tuple[str, ...]
    type: str
    draw: Draw


@dataclass(frozen=True, slots=True)
class Kind:
    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    arguments: dict[str, Argument]
    requests: tuple[str, ...]
    result: Callable[[random.Random, dict[str, Any]], dict[str, Any]]
    answer: str
    parallel: str = ""  # a request for two calls, {x1} and {x2} being the first argument's values


def pick(values: list[str]) -> Draw:
    return lambda rng: rng.choice(values)


def number(low: int, high: int) -> Draw:
    return lambda rng: rng.randrange(low, high)


def expression(rng: random.Random) -> str:
    count = 2 if rng.random() < 0.7 else 3
    terms = [str(rng.randrange(2, 10 ** rng.randrange(1, 5) + 2)) for _ in range(count)]
    text = terms[0]
    for term in terms[1:]:
        text += f" {rng.choice('+-*/')} {term}"
    return text


def done(rng: random.Random, values: dict[str, Any]) -> dict[str, Any]:
    return {"status": rng.choice(("ok", "done", "success"))}


def topic(rng: random.Random) -> str:
    return rng.choice(words.TOPICS) if rng.random() < 0.5 else f"{rng.choice(words.ADJECTIVES)} {rng.choice(words.THINGS)}s"


def ticker(rng: random.Random) -> str:
    return "".join(rng.choice("ABCDEFGHIKLMNOPRSTUVWX") for _ in range(rng.randrange(3, 5)))


PLACE = Argument(("city", "location", "place", "town"), "string", words.place)
NAME = Argument(("to", "recipient", "name", "contact"), "string", words.first_name)
ROOM = Argument(("room", "area", "where"), "string", pick(words.ROOMS))

KINDS = (
    Kind(
        ("get_weather", "weather", "current_weather", "weather_lookup", "fetch_weather", "get_current_weather"),
        ("Get the weather of a place", "Get the current weather in a given location", "Get current weather for a city", "Current weather in a city", "Look up the weather", "Weather right now"),
        {"x": PLACE},
        ("(What is|What's|How is) the weather( like|) in {x}( today| now| right now|)?", "(Is it raining|Is it cold|Is it warm|Is it sunny) in {x}( today| now|)?",
         "(Check|Tell me|Look up|Get) the weather (in|for|of) {x}(.|, please.)", "Do I need an umbrella in {x}?"),
        lambda r, v: {"temperature": r.randrange(-9, 36), "condition": r.choice(words.CONDITIONS)},
        "It is {temperature} degrees and {condition} in {x}.",
        "(What is|What's|How is) the weather in {x1} and (in |){x2}?",
    ),
    Kind(
        ("set_timer", "start_timer", "timer", "countdown", "create_timer"),
        ("Start a timer", "Set a kitchen timer", "Start a countdown in minutes"),
        {"x": Argument(("minutes", "duration_minutes", "duration", "mins"), "integer", number(1, 120))},
        ("(Set|Start|Please set) a timer (for|of) {x} minutes.", "(Wake me|Tell me|Ring) in {x} minutes.", "(Timer|Countdown): {x} minutes"),
        done,
        "Done: the timer runs for {x} minutes.",
    ),
    Kind(
        ("calculate", "calculator", "compute", "evaluate", "do_math"),
        ("Evaluate an arithmetic expression", "A calculator", "Calculate an expression"),
        {"x": Argument(("expression", "expr", "formula", "input"), "string", expression)},
        ("(What is|What's|How much is|Calculate|Compute|Work out) {x}(?|)", "(Use the calculator|Please calculate|Can you calculate): {x}"),
        lambda r, v: {"result": r.randrange(2, 100000)},
        "{x} = {result}",
    ),
    Kind(
        ("add", "add_numbers", "plus", "sum", "addition"),
        ("Add two numbers", "Sum of two numbers", "Adds a and b"),
        {"x": Argument(("a", "x", "first", "left"), "number", number(0, 2000)), "y": Argument(("b", "y", "second", "right"), "number", number(0, 2000))},
        ("(Add|Please add) {x} (and|to) {y}.", "(What is|What's|How much is) {x} (+|plus) {y}?", "(What is|Tell me) the sum of {x} and {y}?"),
        lambda r, v: {"result": v["x"] + v["y"]},
        "{x} + {y} = {result}",
    ),
    Kind(
        ("multiply", "multiply_numbers", "times", "product", "mul"),
        ("Multiply two numbers", "Product of two numbers", "Multiplies a by b"),
        {"x": Argument(("a", "x", "first", "left"), "number", number(0, 2000)), "y": Argument(("b", "y", "second", "right"), "number", number(0, 2000))},
        ("(Multiply|Please multiply) {x} (by|with) {y}.", "(What is|What's|How much is) {x} (*|x|times) {y}?", "(What is|Tell me) the product of {x} and {y}?"),
        lambda r, v: {"result": v["x"] * v["y"]},
        "{x} * {y} = {result}",
    ),
    Kind(
        ("web_search", "search", "search_web", "find_pages", "internet_search"),
        ("Search the web", "Find web pages", "Search the internet for a query"),
        {"x": Argument(("query", "q", "text", "search_term"), "string", topic)},
        ("(Search|Search the web|Look on the web|Look|Search the internet) for {x}.", "(Find|Find me) (something|pages|information|news) about {x}.", "(Google|Look up) {x}."),
        lambda r, v: {"title": f"{r.choice(('A guide to', 'All about', 'News on', 'The world of'))} {v['x']}"},
        'I found this page: "{title}".',
        "(Search|Search the web) for {x1} and for {x2}.",
    ),
    Kind(
        ("translate", "translate_text", "translation", "to_language"),
        ("Translate a text", "Translate into another language"),
        {"x": Argument(("text", "sentence", "phrase"), "string", pick(words.PHRASES)),
         "y": Argument(("language", "target", "target_language", "lang"), "string", pick(words.LANGUAGES))},
        ('(Translate|Please translate|Put) "{x}" into {y}.', '(What is|How do I say) "{x}" in {y}?', 'Say "{x}" in {y}.'),
        lambda r, v: {"translation": " ".join(words.made_up(r) for _ in range(r.randrange(1, 4)))},
        'In {y} it is "{translation}".',
    ),
    Kind(
        ("send_message", "send_text", "message", "text_message", "send_sms"),
        ("Send a message to somebody", "Send a text message", "Message a contact"),
        {"x": NAME, "y": Argument(("text", "message", "body", "content"), "string", pick(words.PHRASES))},
        ('(Send|Please send) {x} (the message|the text|a message:) "{y}".', '(Tell|Text|Message|Write to) {x}: "{y}".', '(Write|Send) "{y}" to {x}.'),
        done,
        "Done: I sent the message to {x}.",
    ),
    Kind(
        ("create_event", "add_event", "add_to_calendar", "calendar_add", "schedule"),
        ("Put an event into the calendar", "Create a calendar entry", "Schedule an event"),
        {"x": Argument(("title", "event", "name", "summary"), "string", pick(words.EVENTS)),
         "y": Argument(("day", "date", "weekday"), "string", pick(words.DAYS)),
         "z": Argument(("time", "start", "at"), "string", words.clock)},
        ("(Put|Add|Please put|Write) {x} (in|into) my calendar (for|on) {y} at {z}.", "(Schedule|Plan|Book) {x} (for|on) {y} at {z}.", "I have {x} on {y} at {z}, (put|note|add) it."),
        done,
        "Done: {x} is in your calendar on {y} at {z}.",
    ),
    Kind(
        ("get_time", "current_time", "clock", "time_in", "world_clock"),
        ("Get the local time of a place", "What time it is somewhere", "The time in a city"),
        {"x": PLACE},
        ("(What time is it|What's the time|How late is it) in {x}( now| right now|)?", "(Tell me|Check|Get) the time in {x}."),
        lambda r, v: {"time": words.clock(r)},
        "It is {time} in {x}.",
        "(What time is it|What's the time) in {x1} and (in |){x2}?",
    ),
    Kind(
        ("convert_currency", "exchange", "currency_convert", "change_money"),
        ("Convert an amount of money", "Currency conversion", "Exchange rates"),
        {"x": Argument(("amount", "value", "sum"), "number", number(1, 5000)),
         "y": Argument(("from", "source", "from_currency"), "string", pick(words.CURRENCIES)),
         "z": Argument(("to", "target", "to_currency"), "string", pick(words.CURRENCIES))},
        ("(Convert|Change|Please convert) {x} {y} (to|into) {z}.", "(How much is|What is|What's) {x} {y} in {z}?"),
        lambda r, v: {"result": r.randrange(1, 9000)},
        "{x} {y} is {result} {z}.",
    ),
    Kind(
        ("stock_price", "get_stock_price", "quote", "get_quote", "share_price"),
        ("Price of a share", "Get the stock price of a symbol", "Look up a share"),
        {"x": Argument(("symbol", "ticker", "share"), "string", ticker)},
        ("(What is|What's|Check|Get) the (price|share price|stock price) of {x}(?|)", "How (is|much is) {x} (trading|worth)( now| today|)?"),
        lambda r, v: {"price": r.randrange(2, 900) + r.choice((0.5, 0.25, 0.1, 0.75))},
        "{x} stands at {price}.",
        "(What is|What's) the price of {x1} and (of |){x2}?",
    ),
    Kind(
        ("play_music", "play", "music", "play_song", "start_music"),
        ("Play music", "Play something by an artist", "Start the music"),
        {"x": Argument(("artist", "band", "singer"), "string", words.full_name)},
        ("(Play|Please play|Put on) (something|music|a song|songs) by {x}.", "I want to hear {x}."),
        done,
        "Done: now playing {x}.",
    ),
    Kind(
        ("set_light", "switch_light", "light", "lamp", "control_light"),
        ("Switch a light", "Turn the light on or off in a room", "Light control"),
        {"x": ROOM, "y": Argument(("state", "mode", "power"), "string", pick(["on", "off"]))},
        ("(Turn|Switch|Please turn) {y} the (light|lights|lamp) in the {x}.", "(Turn|Switch) the (light|lights|lamp) in the {x} {y}.", "(Light|Lights) {y} in the {x}, please."),
        done,
        "Done: the light in the {x} is {y}.",
    ),
    Kind(
        ("set_temperature", "thermostat", "heating", "set_heating", "heat"),
        ("Set the temperature of a room", "Thermostat", "Control the heating"),
        {"x": ROOM, "y": Argument(("degrees", "temperature", "value"), "integer", number(10, 28))},
        ("(Set|Please set) the (temperature|heating) in the {x} to {y}( degrees|).", "(Heat|Warm) the {x} to {y} degrees.", "Make it {y} degrees in the {x}."),
        done,
        "Done: the {x} is set to {y} degrees.",
    ),
    Kind(
        ("add_item", "add_to_list", "shopping_list", "list_add", "remember_item"),
        ("Add something to the shopping list", "Put an item on the list", "Shopping list"),
        {"x": Argument(("item", "product", "entry"), "string", pick(words.FOODS))},
        ("(Add|Put|Please add|Please put) {x} (to|on) (the|my) (shopping list|list).", "(We need|I need|Buy) {x}, (put it on the list|add it to the list)."),
        done,
        "Done: {x} is on the list.",
        "(Add|Please add) {x1} and {x2} to (the|my) (shopping list|list).",
    ),
    Kind(
        ("directions", "get_route", "route", "navigate", "find_route"),
        ("Find the way between two places", "Route from one place to another", "Directions"),
        {"x": Argument(("from", "start", "origin"), "string", words.place), "y": Argument(("to", "end", "destination"), "string", words.place)},
        ("(How do I get|What is the way|Find the way|Find a route|Show me the way) from {x} to {y}(?|)", "(Navigate|Directions|Route) from {x} to {y}."),
        lambda r, v: {"km": r.randrange(5, 2000), "hours": r.randrange(1, 20)},
        "From {x} to {y} it is {km} km, about {hours} hours.",
    ),
    Kind(
        ("find_restaurant", "restaurants", "restaurant_search", "where_to_eat"),
        ("Find a restaurant", "Search for a place to eat", "Restaurants in a city"),
        {"x": PLACE, "y": Argument(("cuisine", "food", "kind"), "string", pick(words.CUISINES))},
        ("(Find|Find me|Book|Look for) (a|some) {y} (restaurant|place|food) in {x}.", "Where can I (eat|get|find) {y} (food|dishes) in {x}?"),
        lambda r, v: {"name": f"{words.made_up(r).capitalize()} {r.choice(('House', 'Kitchen', 'Garden', 'Corner'))}"},
        "Try {name} in {x}.",
    ),
    Kind(
        ("set_reminder", "remind", "create_reminder", "reminder", "remind_me"),
        ("Set a reminder", "Remind the user of something", "Create a reminder"),
        {"x": Argument(("text", "what", "task", "note"), "string", lambda r: f"{r.choice(('call', 'visit', 'pay', 'meet', 'thank'))} {words.first_name(r)}"),
         "y": Argument(("time", "at", "when"), "string", words.clock)},
        ("(Remind me|Please remind me) to {x} at {y}.", "At {y}, (remind me|tell me) to {x}.", "(Set|Create) a reminder for {y}: {x}."),
        done,
        "Done: I will remind you to {x} at {y}.",
    ),
    Kind(
        ("get_order", "order_status", "track_order", "lookup_order", "find_order"),
        ("Look up an order", "Status of an order by its number", "Track an order"),
        {"x": Argument(("order_id", "id", "number", "order"), "integer", number(1000, 99999))},
        ("(Where is|What is with|Track|Check) (my |the |)order {x}(?|)", "(What is|What's) the status of order {x}?", "Look up order {x}."),
        lambda r, v: {"status": r.choice(("shipped", "packed", "delivered", "delayed", "paid"))},
        "Order {x} is {status}.",
        "Where are orders {x1} and {x2}?",
    ),
    Kind(
        ("roll_dice", "dice", "throw_dice", "roll"),
        ("Roll a die", "Throw a die with some sides", "Random number by die"),
        {"x": Argument(("sides", "faces", "max"), "integer", number(4, 101))},
        ("(Roll|Throw|Please roll) a (die|dice) with {x} sides.", "(Roll|Throw) a d{x}."),
        lambda r, v: {"value": r.randrange(1, v["x"] + 1)},
        "The die shows {value}.",
    ),
)  # fmt: skip


def draw_values(rng: random.Random, kind: Kind) -> dict[str, Any]:
    values = {slot: a.draw(rng) for slot, a in kind.arguments.items()}
    if len(set(map(str, values.values()))) < len(values):
        return draw_values(rng, kind)
    return values


def fill(text: str, values: dict[str, Any]) -> str:
    for slot, value in values.items():
        text = text.replace("{" + slot + "}", str(value))
    return text


def tool_request(rng: random.Random, kind: Kind) -> str:
    """A request for the tool with values of its own."""
    return fill(wording(rng, rng.choice(kind.requests)), draw_values(rng, kind))


# Arguments that a tool may list and no request needs.
OPTIONAL = {
    "unit": "string", "format": "string", "limit": "integer", "verbose": "boolean", "timezone": "string", "max_results": "integer",
    "detailed": "boolean", "units": "string", "priority": "integer", "note": "string", "locale": "string",
}  # fmt: skip
SUMS = ("calculate", "add", "multiply")  # kinds, by their first name, that answer a sum

_DO = "run start open make get find check update close move mark build list show".split()
_WHAT = "report ticket invoice record task page file job table camera alarm ticket plan draft note pump valve gate".split()


def odd_tool(rng: random.Random) -> Kind:
    """A tool nobody knows: random name and arguments, and a request that names them."""
    verb, noun = rng.choice(_DO), rng.choice(_WHAT) if rng.random() < 0.7 else words.made_up(rng)
    name = f"{verb}_{noun}"
    pool = "id name level mode size label speed target user page color color_name unit part zone".split()
    slots = rng.sample(pool, rng.randrange(1, 3))
    arguments = {}
    for slot, argument in zip("xy", slots, strict=False):
        numeric = rng.random() < 0.4
        arguments[slot] = Argument(
            (argument,), "integer" if numeric else "string", number(1, 1000) if numeric else words.made_up
        )
    parts = " and ".join(f"{argument} {{{slot}}}" for slot, argument in zip("xy", slots, strict=False))
    return Kind(
        (name,),
        (f"{verb.capitalize()} a {noun}", f"{verb.capitalize()} the {noun}", ""),
        arguments,
        (f"(Use|Call|Please use|Please call|Run) {name} with {parts}.", f"{verb.capitalize()} (the|a) {noun} with {parts}."),
        done,
        f"Done: I called {name}.",
    )
