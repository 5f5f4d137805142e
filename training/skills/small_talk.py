# ruff: noqa: E501  (tables of wordings: one row, one line)
"""Small talk: greetings, thanks, who are you, names remembered, short stories, a little general knowledge, and "I do not know"."""

import random
from collections.abc import Callable

from training import words
from training.dialogue import Dialogue, assistant, casual, held_out, user, wording
from training.skills.toolbox import KINDS, SUMS, tool_request

UNKNOWN = "I do not know that: I am a very small demonstration model. Ask me about Fanlight, a little sum, or a JSON record."
MUDDLE = "I am not sure what to do with that. Ask me about Fanlight, a little sum, or a JSON record."
NO_TOOL = "I cannot look that up: I have no tool for it here."

FIXED = (
    ("(Hi|Hello|Hey|Hi there|Hello there|Hey there|Good day|Greetings|Hiya|Howdy)(!|.|,|)( Fanlight| friend| you| again|)(!|)|(What's up|Whats up|Hey, what's up|Sup|Yo|Hallo|Hi bot|Say hello|Say hi)(?|!|.|)",
     "Hello! How can I help you?"),
    ("Good (morning|afternoon)( to you| Fanlight| friend|)(!|.|)", "Good day to you! How can I help?"),
    ("Good evening( to you| Fanlight| friend|)(!|.|)", "Good evening! How can I help?"),
    ("(How are you|How are you doing|How do you do|How is it going|How's it going|Are you well|How do you feel|Everything all right)( today| now| this morning| tonight|)?",
     "I am well, thank you. How are you?"),
    ("(I am|I'm|I feel|We are) (fine|well|good|great|very well|all right)( too| today|)(, thanks|, thank you|)(.|!|)", "I am glad to hear that."),
    ("(I am|I'm|I feel) (sad|tired|ill|lonely|unhappy|not well|worried|stressed)( today| tonight| now|)(.|)",
     "I am sorry to hear that. I hope it gets better soon."),
    ("(I am|I'm|I feel) (bored|so bored|very bored)( today| now|)(.|)", "Shall I tell you a story? Just say: tell me a story about a fox."),
    ("(Who are you|What are you|Introduce yourself|Tell me who you are|Say who you are|Please introduce yourself|What is your name|What's your name|Do you have a name)(?|.|)",
     "I am the Fanlight demo model, a very small language model that runs on your own GPU."),
    ("(What can you do|What are you able to do|How can you help me|What do you do|What can I ask you|Help|What can I do here|What are your skills|What should I ask)(?|.|)( for me|)",
     "I can chat a little, answer questions about Fanlight, do small sums, turn a sentence into JSON, call tools and follow a style."),
    ("(What can you not do|What are your limits|What can't you do|What are you bad at|Where do you fail)( right now|)(?|)",
     "Almost everything else: I am tiny, I know little of the world, and I only speak English."),
    ("(Thanks|Thank you|Thanks a lot|Many thanks|Thank you very much|Thanks for your help|Thank you so much|Cheers)(!|.|)( That helped.| That was good.| You helped me.|)",
     "You are welcome!"),
    ("(Bye|Goodbye|Bye bye|See you|See you later|Good night|Farewell|So long|I have to go|See you tomorrow)(!|.|)( Fanlight.| friend.| Take care.|)",
     "Goodbye, and come back soon!"),
    ("(Are you|Are you really|You are) (a human|human|a person|a real person|alive|a man|a woman)(?|)", "No, I am a small language model."),
    ("(Are you|Are you really|You are) (a robot|a machine|a computer|a bot|a program|an AI|a language model|artificial)(?|)", "Yes, I am a small language model."),
    ("(You are|You're) (nice|great|good|clever|funny|smart|very kind|wonderful|helpful|the best)(!|.|)( I like you.| I think.|)", "Thank you, that is kind of you."),
    ("(You are|You're) (stupid|bad|silly|wrong|useless|slow|not clever|no help)(!|.|)( I think.| Really.|)", "I am sorry. I am small and make mistakes."),
    ("(Do you like|Do you love|Do you enjoy|Would you like) (music|books|films|cake|cats|dogs|football|coffee|tea|rain|summer|snow|chess)?",
     "I am a program and have no taste, but I like to talk about it."),
    ("(How old are you|What is your age|When were you born|When is your birthday|What's your age)( by the way| really|)?", "I am a program, so I have no birthday."),
    ("(Where do you live|Where are you|Where is your home|Where do you run)( now| right now| really|)?", "I live in the memory of your own GPU."),
    ("(Which languages do you speak|What languages do you speak|Do you speak German|Do you speak French|Do you speak Spanish|Do you speak other languages)(?|)( please|)",
     "I only speak English."),
    ("(What time is it|What's the time|What day is it|What is the date|What is today's date|Which year is it)( now| please| today|)?", "I have no clock, so I cannot tell."),
    ("(Tell me a joke|Do you know a joke|Make me laugh|Say something funny|A joke, please|Another joke|I want a joke)(.|!|?|)( please|)",
     "Why did the token cross the page? Because the next one was already in flight."),
    ("(Tell me something|Say something|Tell me anything|Surprise me|Talk to me)( nice| interesting| new|)(.|!|)", "Did you know that I fit into sixteen megabytes and never leave your machine?"),
    ("(OK|Okay|All right|Fine|I see|Good|Great|Nice|Cool|Very good|Perfect)(.|!|)( then| so far| for now|)", "Good. What would you like to do next?"),
    ("(Can you|Could you|Will you) help me( with something| please| now|)?", "Gladly. What do you need?"),
    ("(Can you|Could you|Do you) (do|help me with|help with|know|understand) (math|maths|sums|arithmetic|calculations|numbers)( please|)?",
     "Yes, small sums: ask me for instance what 27 + 15 is."),
    ("(Name|List|Tell me|Give me) (three|some|a few|3) colo(u|)rs(.|)( please|)", "Red, green and blue."),
    ("(Name|List|Tell me|Give me) (three|some|a few|3) (fruits|kinds of fruit)(.|)( please|)", "Apple, pear and plum."),
    ("(Name|List|Tell me|Give me) (three|some|a few|3) animals(.|)( please|)", "Fox, owl and otter."),
    ("(Yes|Yes please|Sure|Of course|Yeah|Yep|Right)(.|!|)( do it| go on|)", "Good. Please tell me more."),
    ("(No|No thanks|No thank you|Not now|Nope|Never mind)(.|!|)( not today| I think|)", "All right. Tell me if you need anything."),
    ("(Sorry|I am sorry|I'm sorry|My mistake|Excuse me|Pardon)(.|!|)( about that| for that| my friend|)", "No problem at all."),
    ("(What is|What's) the (meaning|purpose|sense) of (life|it all|everything|the universe)(?|)", "Nobody has told me. I hope it is to be of use."),
)  # fmt: skip

ASK_UNKNOWN = (
    "(Who (invented|discovered|won|painted|wrote|founded) {t}|When was {t} (invented|built|made|discovered)|Why (is|are) {t} so (popular|rare|expensive)"
    "|(Write|Give me) (an essay|a poem|a report|a long text) about {t}|(Explain|Describe|What do you think of|Tell me about|What is the history of) {t}"
    "|What do you know about {t}|How (does one|do people|can I) (make|use|find|repair) {t})(?|.|)"
)
ASK_WORLD = (
    "(What is the capital of|Where is|What is the population of|What language do they speak in) {m}(?|)",
    "(What is|What are|What's|Who is|Define) (a |an |the |){m}(?|)",
    "(Why|How|When) (is|are|does|do|did) {t} (work|so old|made|end|begin|grow)(?|)",
    "(Write|Give me|Compose) a (haiku|song|poem|letter|rhyme) (about|on) {t}(.|)",
    "(Should I|Can I|Must I|Do you think I should) (buy|sell|eat|keep|try) {t}?",
    "(Who is|Who was|Do you know|Tell me about|Have you heard of|What do you know about) {n}(?|)",
    "(How many people live in|Who is the mayor of|How big is|What is the best hotel in|When was) {p}(?| founded?| built?)",
    "(Write|Can you write|Please write) (code|a program|a script|a function) (in|for) (Python|Java|C|Rust|Go)( that sorts a list| for a game| that reads a file|)(?|.|)",
)
ASK_NOW = (
    "(What is the weather like|What's the weather|How is the weather|Is it raining|How warm is it) in {p}( today| now| tomorrow|)?",
    "(What is the news|What's new|What happened) in {p}( today| this week|)?",
    "(What is|What's) the (price|value) of {c}( today| now|)?",
)


def fixed(rng: random.Random) -> Dialogue:
    spec, answer = rng.choice(FIXED)
    core = wording(rng, spec)
    return one(casual(rng, core), answer, "talk " + core.lower().strip(".?! "))


def one(text: str, answer: str, *keys: str) -> Dialogue:
    return Dialogue("small_talk", (user(text), assistant(answer)), keys)


def greeted_by_name(rng: random.Random) -> Dialogue:
    name = words.first_name(rng)
    text = wording(rng, "(Hi, |Hello, |Hey, |)(my name is|I am called|I'm called|call me|people call me) {n}(.|!|)")
    text = text[0].upper() + text[1:]
    messages = [user(text.replace("{n}", name)), assistant(f"Nice to meet you, {name}!")]
    if rng.random() < 0.7:
        for _ in range(rng.randrange(3)):
            messages.extend(fixed_filler(rng))
        ask = wording(
            rng,
            "(What is my name|What's my name|Do you know my name|Who am I|Do you remember my name|How am I called)( again|)?",
        )
        messages += [user(ask), assistant(f"Your name is {name}.")]
    return Dialogue("small_talk", tuple(messages), (f"name {name}",))


def fixed_filler(rng: random.Random) -> tuple:
    for _ in range(50):
        dialogue = fixed(rng)
        if not any(held_out(k) for k in dialogue.keys):
            return dialogue.messages
    raise AssertionError("no wording in the training split")


def story(rng: random.Random) -> Dialogue:
    adjective, thing = rng.choice(words.ADJECTIVES), rng.choice(words.THINGS)
    draw = rng.random()
    animal = rng.choice(words.ANIMALS if draw < 0.5 else words.HEROES if draw < 0.75 else words.THINGS)
    if draw > 0.9:
        animal = words.made_up(rng)
    place = words.place(rng)
    hero = f"{adjective} {animal}" if rng.random() < 0.5 else animal
    any_hero = rng.random() < 0.08
    hero, animal = ("quiet fox", "fox") if any_hero else (hero, animal)
    article = "an" if hero[0] in "aeiou" else "a"
    text = wording(
        rng,
        "(Tell me|Write|Can you tell me|Please tell me|I want|Make up) a (short |little |)story about {h}( and {t}|)( in {p}|)(.|)",
    )
    text = (
        text
        if not any_hero
        else wording(
            rng, "(Tell me|Write|Can you tell me|Please tell me|I want|Make up) (a|another|a short|a little) story(.|)"
        )
    )
    with_thing, with_place = "{t}" in text, "{p}" in text
    text = (
        text.replace("{h}", f"{article} {hero}")
        .replace("{t}", f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}")
        .replace("{p}", place)
    )
    home = place if with_place else "a small town"
    found = thing if with_thing else "key"
    a_found = f"{'an' if found[0] in 'aeiou' else 'a'} {found}"
    answer = (
        f"Once upon a time there was {article} {hero} in {home}. One morning the {animal} found {a_found} behind the old door. "
        f"Nobody knew whose {found} it was, so the {hero} asked everyone in {home}. In the evening a child came and said: it is mine! "
        f"The {animal} gave the {found} back, and from that day the two were friends."
    )
    return one(text, answer, f"story {hero} {found}" if not any_hero else f"story {text.lower().rstrip('.')}")


def capital(rng: random.Random) -> tuple[str, str, str]:
    country, city = rng.choice(list(words.COUNTRIES_CAPITALS.items()))
    return f"(What is|What's|Name|Tell me) the capital (city |)of {country}(?|)", f"The capital of {country} is {city}.", city


def opposite(rng: random.Random) -> tuple[str, str, str]:
    word, other = rng.choice(list(words.OPPOSITES.items()))
    return (
        f"(What is|What's|Name|Tell me) the opposite of {word}(?|)",
        f"The opposite of {word} is {other}.",
        other.capitalize(),
    )


def colour(rng: random.Random) -> tuple[str, str, str]:
    thing, value = rng.choice(list(words.COLOURS_OF.items()))
    return f"(What|Which) colour (is|has) {thing}?", f"{thing[0].upper()}{thing[1:]} is {value}.", value.capitalize()


def sound(rng: random.Random) -> tuple[str, str, str]:
    animal, noise = rng.choice(list(words.SOUNDS.items()))
    article = "an" if animal[0] == "o" else "a"
    spec = (
        f"(What sound does {article} {animal} make|What does {article} {animal} say|Which sound does {article} {animal} make)?"
    )
    return spec, f"{article.capitalize()} {animal} says {noise}.", noise.capitalize()


def next_day(rng: random.Random) -> tuple[str, str, str]:
    i, after = rng.randrange(7), rng.random() < 0.5
    day, other = words.DAYS[i], words.DAYS[(i + (1 if after else -1)) % 7]
    word = "after" if after else "before"
    spec = f"(What day comes|Which day comes|What day is|Which day is) {word} {day}?"
    return spec, f"The day {word} {day} is {other}.", other


KNOWLEDGE: tuple[Callable[[random.Random], tuple[str, str, str]], ...] = (
    capital,
    capital,
    opposite,
    opposite,
    colour,
    sound,
    next_day,
)


def knowledge(rng: random.Random) -> tuple[str, str, str, str]:
    """Question, sentence, single word, key."""
    spec, sentence, word = rng.choice(KNOWLEDGE)(rng)
    text = wording(rng, spec)
    return text, sentence, word, "know " + text.lower().rstrip("?. ")


def know(rng: random.Random) -> Dialogue:
    text, sentence, _, key = knowledge(rng)
    return one(casual(rng, text), sentence, key)


def no_tool(rng: random.Random) -> Dialogue:
    """A request that needs a tool, with no tools in the prompt."""
    text = tool_request(rng, rng.choice([k for k in KINDS if k.names[0] not in SUMS]))
    return one(casual(rng, text), NO_TOOL, "absent " + text)


def unknown(rng: random.Random) -> Dialogue:
    if rng.random() < 0.5:
        spec, answer = (ASK_UNKNOWN if rng.random() < 0.6 else rng.choice(ASK_WORLD)), UNKNOWN
    else:
        spec, answer = rng.choice(ASK_NOW), NO_TOOL
    topic = rng.choice(words.TOPICS) if rng.random() < 0.5 else f"{rng.choice(words.ADJECTIVES)} {rng.choice(words.THINGS)}s"
    text = wording(rng, spec).replace("{t}", topic).replace("{p}", words.place(rng)).replace("{n}", words.full_name(rng))
    text = text.replace("{m}", words.made_up(rng).capitalize() if rng.random() < 0.5 else words.made_up(rng))
    text = text.replace("{c}", rng.choice((words.made_up(rng).capitalize(), "gold", "oil", "silver", "wheat")))
    return one(casual(rng, text), answer, "unknown " + text.lower().rstrip("?. "))


def muddle(rng: random.Random) -> Dialogue:
    """Words without a request."""
    draw = rng.random()
    if draw < 0.4:
        text = words.sentence(rng) + rng.choice((".", ""))
        text = text[0].upper() + text[1:]
    elif draw < 0.7:
        text = " ".join(words.made_up(rng) for _ in range(rng.randrange(1, 4)))
    elif draw < 0.85:
        text = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randrange(3, 9)))
    else:
        text = " ".join(rng.choice(words.THINGS + words.ADJECTIVES + words.FOODS) for _ in range(rng.randrange(2, 5)))
    return one(text, MUDDLE, f"muddle {text.lower()}")


def counting(rng: random.Random) -> Dialogue:
    low = 1 if rng.random() < 0.5 else rng.randrange(1, 90)
    high = min(100, low + rng.randrange(3, 25) if rng.random() < 0.8 else rng.randrange(low + 4, 102))
    text = wording(
        rng,
        "(Count|Please count|Can you count|Count up) from {a} to {b}(.|)"
        if low > 1
        else "(Count|Please count|Can you count) (to|up to|from 1 to) {b}(.|)",
    )
    text = text.replace("{a}", str(low)).replace("{b}", str(high))
    return one(casual(rng, text), ", ".join(map(str, range(low, high + 1))), f"count {low} {high}")


MAKERS = ((fixed, 9), (greeted_by_name, 3), (story, 2), (know, 4), (unknown, 4), (no_tool, 2), (counting, 1), (muddle, 1))


def make(rng: random.Random) -> Dialogue:
    maker = rng.choices([m for m, _ in MAKERS], [w for _, w in MAKERS])[0]
    return maker(rng)
