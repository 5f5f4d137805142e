"""Word lists and made-up words that the skills recombine.

Knows nothing about prompts or splits. Everything here is plain vocabulary typed by hand (names, places, things)
or built from syllables, so that a model must learn to copy a word that it has never seen.
"""

import random

FIRST_NAMES = """Ada Alba Amir Anna Anton Astrid Bela Bo Carla Cem Chen Clara Dara David Devi Elena Elias Emil Emma Esra
Femi Finn Freya Gita Greta Hana Hugo Ida Ines Ivan Jana Jonas Julia Kai Kira Lars Leila Lena Leo Lina Luca Maja Mara
Maria Mateo Mina Mira Nadia Nils Nina Noor Olga Omar Otto Paula Pavel Petra Priya Rafa Rosa Samir Sara Sven Tara Theo
Tomas Uma Vera Viktor Wanda Yara Yuki Zara Zoe""".split()

CITIES = """Accra Amsterdam Athens Auckland Baku Bali Bangkok Barcelona Beirut Belfast Bergen Berlin Bern Bogota Boston
Bremen Brno Brussels Cairo Calgary Chicago Cork Dakar Delhi Denver Dublin Dubai Florence Geneva Genoa Ghent Glasgow
Graz Hamburg Hanoi Havana Helsinki Istanbul Jakarta Kyoto Lagos Lima Lisbon Ljubljana London Lyon Madrid Malaga Manila
Milan Montreal Moscow Mumbai Munich Nairobi Naples Nice Osaka Oslo Ottawa Paris Perth Porto Prague Quito Riga Rome
Santiago Seoul Seville Sofia Split Sydney Tallinn Tampere Tirana Tokyo Toronto Tunis Turin Utrecht Valencia Vienna
Vilnius Warsaw Zagreb Zurich""".split()

COUNTRIES_CAPITALS = {
    "France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Germany": "Berlin", "Austria": "Vienna", "Norway": "Oslo",
    "Sweden": "Stockholm", "Finland": "Helsinki", "Denmark": "Copenhagen", "Portugal": "Lisbon", "Greece": "Athens",
    "Poland": "Warsaw", "Hungary": "Budapest", "Ireland": "Dublin", "Japan": "Tokyo", "Egypt": "Cairo", "Kenya": "Nairobi",
    "Peru": "Lima", "Chile": "Santiago", "Canada": "Ottawa", "Cuba": "Havana", "Croatia": "Zagreb", "Latvia": "Riga",
    "Estonia": "Tallinn", "Belgium": "Brussels", "Switzerland": "Bern", "Bulgaria": "Sofia", "Thailand": "Bangkok",
    "India": "Delhi", "South Korea": "Seoul",
}  # fmt: skip

OPPOSITES = {
    "hot": "cold", "big": "small", "fast": "slow", "light": "dark", "old": "new", "high": "low", "wet": "dry",
    "full": "empty", "hard": "soft", "loud": "quiet", "open": "closed", "early": "late", "near": "far", "happy": "sad",
    "strong": "weak", "thick": "thin", "wide": "narrow", "up": "down", "left": "right", "day": "night", "good": "bad",
    "rich": "poor", "long": "short", "clean": "dirty", "heavy": "light", "young": "old", "first": "last", "true": "false",
}  # fmt: skip

COLOURS_OF = {
    "the sky": "blue", "grass": "green", "snow": "white", "coal": "black", "a lemon": "yellow", "a tomato": "red",
    "a carrot": "orange", "chocolate": "brown", "milk": "white", "a banana": "yellow", "the night": "black",
    "a strawberry": "red", "an elephant": "grey", "a plum": "purple", "a flamingo": "pink", "a leaf": "green",
}  # fmt: skip

SOUNDS = {
    "dog": "woof", "cat": "meow", "cow": "moo", "duck": "quack", "sheep": "baa", "lion": "roar", "frog": "croak",
    "bee": "buzz", "owl": "hoot", "snake": "hiss", "pig": "oink", "mouse": "squeak",
}  # fmt: skip

ANIMALS = """ant badger bear beaver bee bird camel cat cow crab crow deer dog dolphin donkey duck eagle elephant fox frog
goat goose hare hedgehog heron horse koala lion lizard lynx mole mouse otter owl panda parrot penguin pig pony rabbit
raven robin seal sheep snail spider squirrel stork swan tiger toad turtle whale wolf zebra""".split()

HEROES = """boy captain child cook dancer dragon farmer fisherman ghost giant girl king knight painter pirate princess prince
queen robot sailor shepherd teacher thief witch wizard""".split()

THINGS = """apple bag ball basket bell bench bike blanket boat book bottle bowl box bread bridge broom brush bucket button
cake camera candle card carpet chair cheese clock coat coin cup curtain desk door drum engine fence flag flute fork
garden glass glove guitar hammer hat helmet jar jug kettle key kite knife ladder lamp leaf lemon letter lock map mirror
mug nail needle notebook onion orange paint pan paper pear pen pencil phone piano pillow plate plum pot purse radio ring
rope ruler sail saw scarf shelf shirt shoe shovel soap sock spoon stamp stone stool stove table tea tent ticket torch
towel tray tree umbrella vase violin wallet wheel whistle window""".split()

FOODS = """apples beans bread butter carrots cheese cherries coffee eggs flour garlic grapes honey lemons lentils milk
mushrooms noodles oats olives onions oranges pasta peaches pears peas peppers plums potatoes rice salt soup spinach
sugar tea tofu tomatoes walnuts yoghurt""".split()

ADJECTIVES = """bright brave calm clean clever cold cosy curious dark deep dry early empty fair fast fine fresh gentle glad
golden green happy heavy honest kind large late light little long loud lucky narrow new noisy old open pale plain proud
quick quiet rare red rich round shy silent simple slow small smooth soft strange strong sunny sweet tall tidy tiny warm
wet wide wild wise wooden young""".split()

VERBS_PAST = """bought carried cleaned dropped drew fixed found forgot hid kept lost made moved opened painted saw sold
stole took tried washed wrapped""".split()

ROOMS = "kitchen|bedroom|hall|office|garage|bathroom|attic|cellar|living room|dining room|garden|balcony".split("|")
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
COLOURS = "red blue green yellow black white brown grey orange purple pink silver".split()
LANGUAGES = "French German Spanish Italian Polish Dutch Greek Turkish Swedish Japanese Hindi Arabic Finnish Czech".split()
CUISINES = "Italian Indian Thai Mexican Greek Japanese Turkish vegan Korean French Lebanese Spanish".split()
CURRENCIES = "EUR USD GBP JPY CHF SEK NOK DKK PLN CAD AUD INR".split()
CONDITIONS = "sunny cloudy rainy windy foggy snowy clear stormy dry misty".split()
EVENTS = """dentist|yoga class|team meeting|piano lesson|birthday party|book club|job interview|dinner|football match|
film night|swimming|choir practice|parent evening|haircut|house viewing|project review|lunch|bike repair|board meeting|
language course|chess club|garden work|vet visit|concert""".replace("\n", "").split("|")
JOBS = """baker teacher nurse painter pilot farmer doctor cook driver gardener engineer carpenter plumber singer writer
librarian tailor dentist sailor builder""".split()
TOPICS = """solar panels|old maps|wild mushrooms|train timetables|bird migration|paper folding|sea ice|bread baking|cheap
 bicycles|local elections|rare stamps|electric cars|garden ponds|chess openings|night trains|wool prices|city parks|water
 filters|jazz festivals|mountain huts|sewing machines|used cameras|space probes|tide tables|folk songs|bee keeping|roof
 repair|coffee beans|board games|museum tickets""".replace("\n", "").split("|")
PHRASES = """good morning|thank you very much|where is the station|I am late|see you tomorrow|the soup is hot|call me
 back|I like this song|the door is open|we need more bread|have a nice day|please wait here|the train has left|happy
 birthday|I will be there soon|bring an umbrella|the shop is closed|dinner is ready|I lost my key|meet me at noon|the
 meeting has moved|all is well|do not forget the milk|the key is under the mat|no news today""".replace("\n", "").split("|")

_ONSETS = "b br c d dr f fl g gr h j k kl l m n p pr r s sh st t th tr v w z".split()
_VOWELS = "a e i o u ai ea io".split()
_CODAS = ["", "", "", "l", "m", "n", "nd", "r", "rk", "s", "t", "x", "lin", "ra", "na", "ck"]


def made_up(rng: random.Random) -> str:
    """A pronounceable word of two or three syllables that is in no dictionary."""
    syllables = 2 if rng.random() < 0.7 else 3
    return "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(syllables))


def first_name(rng: random.Random) -> str:
    return rng.choice(FIRST_NAMES) if rng.random() < 0.5 else made_up(rng).capitalize()


def full_name(rng: random.Random) -> str:
    return f"{first_name(rng)} {made_up(rng).capitalize()}"


def place(rng: random.Random) -> str:
    return rng.choice(CITIES) if rng.random() < 0.6 else made_up(rng).capitalize()


def thing(rng: random.Random) -> str:
    """A thing, often with an adjective before it."""
    noun = rng.choice(THINGS)
    return f"{rng.choice(ADJECTIVES)} {noun}" if rng.random() < 0.4 else noun


def clock(rng: random.Random) -> str:
    return f"{rng.randrange(24):02d}:{rng.choice((0, 15, 30, 45, 5, 10, 20, 40)):02d}"


def sentence(rng: random.Random) -> str:
    """A short sentence about somebody and something."""
    who = first_name(rng) if rng.random() < 0.6 else f"the {rng.choice(ADJECTIVES)} {rng.choice(ANIMALS)}"
    what = f"{rng.choice(('a', 'the', 'my', 'our'))} {rng.choice(ADJECTIVES)} {rng.choice(THINGS)}"
    where = f" in {place(rng)}" if rng.random() < 0.3 else ""
    return f"{who} {rng.choice(VERBS_PAST)} {what}{where}"
