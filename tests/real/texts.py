# ruff: noqa: RUF001  signs that look alike are wanted here
"""500 texts in which a tokenizer can go wrong: scripts, code, numbers, white space, emoji, special tokens, any characters."""

import itertools
import random
import unicodedata
from collections.abc import Iterator

COUNT = 500

PROSE = {
    "English": "They'd said it wouldn't rain; we've brought umbrellas, and I'm glad you'll come. It's Anna's, isn't it?",
    "capitals": "I'M SURE THEY'LL SAY WE'VE SEEN IT, DON'T YOU'D'VE THOUGHT? HE'S MCDONALD'S IPHONE XMLHttpRequest",
    "German": "Zwölf Boxkämpfer jagen Größen über den Weißensee; die Straße heißt „Am Äußeren Bühl“.",
    "French": "L'été, où naîtra-t-il ? Ça dépend : « peut-être », répond l'aîné, cœur serré, à l'hôtel.",
    "Spanish": "¿Cuántos años tiene el niño? ¡Ningún pingüino cabe en aquel rincón!",
    "Polish": "Zażółć gęślą jaźń, a później źrebię śpi w łóżku koło Łodzi.",
    "Czech": "Příliš žluťoučký kůň úpěl ďábelské ódy u Třeboně.",
    "Turkish": "Iğdır'da şöyle bir ağaç, çiğ düşünce ışıldar: İstanbul'dan güzel.",
    "Vietnamese": "Trời hôm nay đẹp quá, chúng tôi đi chợ mua những quả cam ngọt.",
    "Icelandic": "Það er þoka við ströndina og æðarfuglinn sefur í öldunni.",
    "Greek": "Ο γέρος ψαράς μετρούσε τις βάρκες κάθε πρωΐ· άραγε γιατί;",
    "Russian": "Старик каждое утро считал лодки, а объём улова записывал в тетрадь.",
    "Ukrainian": "Ґанок, їжак і щирий приятель п'ють узвар біля під'їзду.",
    "Hebrew": "הזקן ספר את הסירות בְּכָל בֹּקֶר, ואז חזר הביתה.",
    "Arabic": "كان الشيخ يَعُدُّ القوارب كل صباح، ثم يعود إلى بيته؟",
    "Persian": "می‌خواهم کتاب‌های قدیمی را در کتابخانه بخوانم.",
    "Hindi": "बूढ़ा आदमी हर सुबह नावें गिनता था, फिर घर लौट जाता था।",
    "Bengali": "বুড়ো লোকটি প্রতিদিন সকালে নৌকা গুনত।",
    "Tamil": "முதியவர் தினமும் காலையில் படகுகளை எண்ணினார்.",
    "Telugu": "ముసలివాడు ప్రతి ఉదయం పడవలను లెక్కించేవాడు.",
    "Thai": "ชายชรานับเรือทุกเช้าแล้วเดินกลับบ้านบนเนินเขา",
    "Lao": "ຜູ້ເຖົ້ານັບເຮືອທຸກໆເຊົ້າ",
    "Khmer": "បុរសចំណាស់រាប់ទូករៀងរាល់ព្រឹក",
    "Burmese": "အဘိုးအိုသည် မနက်တိုင်း လှေများကို ရေတွက်သည်။",
    "Tibetan": "རྒད་པོས་ཞོགས་པ་རེར་གྲུ་རྩི།",
    "Georgian": "მოხუცი ყოველ დილით ნავებს ითვლიდა.",
    "Armenian": "Ծերունին ամեն առավոտ հաշվում էր նավակները։",
    "Amharic": "ሽማግሌው በየጠዋቱ ጀልባዎችን ይቆጥር ነበር።",
    "Korean": "노인은 매일 아침 배를 세고 집으로 돌아갔다.",
    "Japanese": "老人は毎朝、港に戻るボートを数えた。カタカナとひらがな、ー長音。",
    "Chinese": "老人每天早上数船，然后走回山上的家。“多少只？”他问。",
    "Traditional Chinese": "老人每天早晨數著船隻，《海港日記》裡寫滿數字。",
    "Cherokee": "ᎠᎦᏴᎵᎨ ᎤᎾᏙᏓᏆᏍᎬᎢ",
    "Gothic": "𐌰𐍄𐍄𐌰 𐌿𐌽𐍃𐌰𐍂 𐌸𐌿",
    "Mongolian": "ᠮᠣᠩᠭᠣᠯ ᠪᠢᠴᠢᠭ",
    "Yoruba": "Ọmọ náà ń ka àwọn ọkọ̀ ojú omi ní gbogbo òwúrọ̀.",
    "Hawaiian": "Helu ʻo ia i nā waʻa i kēlā me kēia kakahiaka.",
}
CODE = [
    "def area(r: float) -> float:\n    '''Of a circle.'''\n    return 3.14159 * r ** 2\n",
    "for (int i = 0; i < 1024; ++i) {\n\tsum += a[i]*b[i];\t// dot\n}\n",
    "SELECT name, count(*) FROM boats WHERE length >= 12.5 GROUP BY 1 ORDER BY 2 DESC;",
    '<a href="https://example.org/?q=1&amp;r=%20#top">caf&eacute;</a>\r\n',
    '{"ids": [1, 22, 333], "ok": true, "pi": 3.14e-10, "s": "\\u00e9\\n"}',
    'fn main() { let x: &\'static str = "hi"; println!("{x:?}"); }',
    "#!/bin/sh\nfind . -name '*.py' | xargs grep -n \"TODO\" 2>/dev/null || exit 1\n",
    "const f = async (x) => { await g(x ?? 0); return `${x}px`; };",
    "@media (max-width: 600px) { .a > .b::after { content: '\\201C'; } }",
    "\\begin{equation}\n  \\int_0^\\infty e^{-x^2}\\,dx = \\frac{\\sqrt{\\pi}}{2}\n\\end{equation}",
    "class HTTPServer2(BaseServer):\n        def __init__(self):\n                pass\n\n\n",
    "0xDEADBEEF 0b1011 1_000_000 1e9 .5 5. -7 +8 a1b22c333 v1.2.3-rc.4 192.168.0.1:8080",
    "| a | b |\n|---|--:|\n| 1 | 2 |\n\n- [x] done\n* **bold**_it_\n```py\nx\n```",
]
NUMBERS = """
    1 12 123 1234567890 3.14159 1,000,000 2024-05-17T12:30:00Z 50% $9.99 ٣٤٥٦ ۱۲۳۴ १२३४ ১২৩ ๑๒๓๔ １２３４ 𝟏𝟐𝟑 ½¾⅓
    x²y³z¹⁰ H₂O₂ ①②③⑳ ㊿㉑ 一二三四 𐄇𐄈 〇〡〢
""".split()
NUMBERS += ["€ 1.234,56", "1st 2nd 10th", "Ⅳ Ⅻ ⅷ"]
SPACES = [
    " ", "  ", "    ", "\t", "\t\t", "\n", "\n\n", "\r\n", "\r", " \n ", "\v\f", "\x00", "\x1b[0m", "\x7f", "\x85",
    "\u00a0", "\u1680", "\u2003", "\u2009", "\u200b", "\u200d", "\u2028", "\u2029", "\u202f", "\u3000", "\ufeff", "\u00ad",
]  # fmt: skip
EMOJI = "🙂 👍🏽 👩‍👩‍👧 🇫🇷🇯🇵 ❤️ ☃ 🏴󠁧󠁢󠁳󠁣󠁴󠁿 1️⃣ 🫠 🧑🏿‍🚀 ©™ →⇒∀∃∑√∞≠≤ ♞♟ …—–• “”‘’«» ﬁﬀ Å Å".split()
SPECIAL = """
    <|endoftext|> <|im_start|> <|im_end|> <repo_name> <reponame> <file_sep> <filename> <gh_stars> <issue_start>
    <issue_comment> <issue_closed> <jupyter_start> <jupyter_text> <jupyter_code> <jupyter_output> <jupyter_script>
    <empty_output>
""".split()
NEARLY_SPECIAL = "<|im_start> <|IM_END|> <<|im_end|>> <|im_start| <|system|> </s> [INST]".split()
NEARLY_SPECIAL += ["<|im_end |>", "< |im_end|>"]
BOUNDS = (0x20, 0x7F, 0xA0, 0x250, 0x800, 0xD800, 0xE000, 0x10000, 0x20000, 0x110000)
PLANES = [(first, end) for first, end in itertools.pairwise(BOUNDS) if first != 0xD800]  # halves of pairs are no characters


def texts() -> list[str]:
    """The same ones each time, all different; not the empty one."""
    rng = random.Random(2)
    makers = [mixed, marked, numbered, spaced, arbitrary, repeated, cut_prose]
    made = dict.fromkeys(fixed())
    for make in itertools.cycle(makers):
        if len(made) >= COUNT:
            return list(made)
        made[make(rng)] = None
    raise AssertionError


def fixed() -> Iterator[str]:
    yield from (*PROSE.values(), *CODE, *NUMBERS, *SPACES, *EMOJI, *SPECIAL, *NEARLY_SPECIAL)
    yield from (unicodedata.normalize("NFD", PROSE[name]) for name in ("French", "Vietnamese", "Korean", "Czech"))
    yield from (unicodedata.normalize("NFKC", number) for number in NUMBERS[10:])
    yield "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in (("user", "Hello!"), ("assistant", "Hi.")))


def mixed(rng: random.Random) -> str:
    """Words of several languages and signs, with a space between or without."""
    words = [rng.choice(rng.choice([*PROSE.values()]).split()) for _ in range(6)]
    return rng.choice(["", " "]).join([*words, rng.choice(EMOJI), rng.choice(NUMBERS)])


def marked(rng: random.Random) -> str:
    """Special tokens and what only resembles them, touching text or spaces."""
    around = [rng.choice([*PROSE["English"].split(), *SPACES[:10], *NUMBERS[:6], ""]) for _ in range(4)]
    return "".join(a + b for a, b in zip(around, rng.sample(SPECIAL + NEARLY_SPECIAL, 4), strict=True))


def numbered(rng: random.Random) -> str:
    return rng.choice(["", " ", "  ", "x", "-", "."]).join(rng.sample(NUMBERS, rng.randint(2, 5)))


def spaced(rng: random.Random) -> str:
    """Words with unusual white space between, before and after them."""
    words = rng.sample([*CODE, *PROSE["English"].split(), *NUMBERS], 3)
    return "".join(word + "".join(rng.choices(SPACES, k=rng.randint(1, 4))) for word in ["", *words])


def arbitrary(rng: random.Random) -> str:
    """Any characters, from one part of Unicode or from all; unassigned ones too."""
    planes = rng.choice([PLANES, *([plane] for plane in PLANES)])
    return "".join(chr(rng.randrange(*rng.choice(planes))) for _ in range(rng.randint(1, 12)))


def repeated(rng: random.Random) -> str:
    piece = rng.choice([*SPACES[:9], *EMOJI, *NUMBERS, "a", "=", "-", "ab", "ha", "!?", "é", "\n    "])
    return piece * rng.randint(3, 40)


def cut_prose(rng: random.Random) -> str:
    """From anywhere in a text to anywhere, so that words, accents and joined emoji are torn."""
    text = rng.choice([*PROSE.values(), *CODE])
    first = rng.randrange(len(text))
    return text[first : rng.randint(first + 1, len(text))] + rng.choice(["", " ", "\n", rng.choice(EMOJI)[-1]])
