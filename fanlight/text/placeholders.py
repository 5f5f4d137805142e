"""What stands for a picture, or a sound, in a prompt's text: what a chat template writes for it, and what that becomes, as
transformers' processors expand it. A model's own token stands for each row that its tower makes of a picture's tiles, or of a
sound's windows."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from fanlight.errors import RequestError, UnsupportedModel
from fanlight.text.control_tokens import PromptText

ALONE = "\U0010fffc"  # stands for a picture or a sound where a template reads texts alone


@dataclass(frozen=True, slots=True)
class Layout:
    """A sound's windows; or a picture's tiles: `rows` x `columns` that it is cut into, beside the whole; 0 and 0 where it is
    not cut. shapes: of each tile, or window, in order, how many tokens one below the other,
    and side by side, stand for it."""

    shapes: tuple[tuple[int, int], ...]
    rows: int = 0
    columns: int = 0

    @property
    def num_tokens(self) -> tuple[int, ...]:
        """Of each tile."""
        return tuple(below * beside for below, beside in self.shapes)


@dataclass(frozen=True, slots=True)
class Placeholder:
    """written: by templates, for a picture, or a sound. token: for each of its rows; others: likewise, of vocabularies that do
    not have it. has_lines: whether another stands between those that are side by side and the next."""

    written: str
    token: str
    expand: Callable[["Placeholder", Layout], str]
    has_lines: bool = False
    what: str = "picture"
    around: tuple[str, str] = ("", "")  # what stands before and after, where the template reads texts alone; ...
    is_inline: bool = False  # ... and whether texts go on in the same line there
    others: tuple[str, ...] = ()

    def expanded(self, prompt: PromptText, layouts: list[Layout]) -> PromptText:
        """With what stands for each picture, in order. Raises RequestError where the prompt has not as many."""
        mark = ALONE if ALONE in prompt.marked else self.written
        marked = re.sub(f"\n?{ALONE}\n?", ALONE, prompt.marked) if self.is_inline else prompt.marked
        first, *others = marked.split(mark)
        if len(others) != len(layouts):
            raise RequestError(
                f"the model's chat template writes {len(others)} {self.what}s for these messages, which have {len(layouts)}",
                param="messages",
            )
        before, after = self.around if mark == ALONE else ("", "")
        parts = [before + self.expand(self, layout) + after + other for layout, other in zip(layouts, others, strict=True)]
        return replace(prompt, marked=first + "".join(parts))


def _each(p: Placeholder, layout: Layout) -> str:
    """Rows alone: LLaVA; Qwen, whose templates write what stands around them."""
    return p.token * sum(layout.num_tokens)


def _voxtral(p: Placeholder, layout: Layout) -> str:
    return "[BEGIN_AUDIO]" + _each(p, layout)


def _gemma3(p: Placeholder, layout: Layout) -> str:
    whole, *crops = [f"\n\n<start_of_image>{p.token * count}<end_of_image>\n\n" for count in layout.num_tokens]
    if not crops:
        return whole
    return f"Here is the original image {whole} and here are some crops to help you see better {' '.join(crops)}"


def _idefics3(p: Placeholder, layout: Layout) -> str:
    around, whole = "<fake_token_around_image>", "<global-img>"
    *tiles, last = [p.token * count for count in layout.num_tokens]
    places = [(row, column) for row in range(1, layout.rows + 1) for column in range(1, layout.columns + 1)]
    text = ""
    for (row, column), tile in zip(places, tiles, strict=True):
        text += f"{around}<row_{row}_col_{column}>{tile}" + "\n" * (column == layout.columns)
    return f"{text}{chr(10) * bool(tiles)}{around}{whole}{last}{around}"


def _pixtral(p: Placeholder, layout: Layout) -> str:
    tiles = ["[IMG_BREAK]".join([p.token * beside] * below) for below, beside in layout.shapes]
    return "".join(f"{tile}[IMG_END]" for tile in tiles)


PIXTRAL = Placeholder("[IMG]", "[IMG]", _pixtral, has_lines=True)


def _lfm2_vl(p: Placeholder, layout: Layout) -> str:
    *tiles, last = [p.token * count for count in layout.num_tokens]
    if layout.rows * layout.columns < 2:
        return f"<|image_start|>{last}<|image_end|>"
    if len(tiles) < layout.rows * layout.columns:  # without the whole
        tiles, last = [*tiles, last], ""
    places = [(row, column) for row in range(1, layout.rows + 1) for column in range(1, layout.columns + 1)]
    text = "".join(f"<|img_row_{row}_col_{column}|>{tile}" for (row, column), tile in zip(places, tiles, strict=True))
    return f"<|image_start|>{text}{'<|img_thumbnail|>' * bool(last)}{last}<|image_end|>"


LLAVA = Placeholder(  # language models that learned of pictures later have no token for them in GGUF files
    *("<image>", "<image>", _each), around=("", "\n"), is_inline=True, others=("<unk>", "<|reserved_special_token_0|>")
)
QWEN2_AUDIO = Placeholder("<|AUDIO|>", "<|AUDIO|>", _each, what="sound", around=("<|audio_bos|>", "<|audio_eos|>\n"))
PLACEHOLDERS = {  # by model_type
    "gemma3": Placeholder("<start_of_image>", "<image_soft_token>", _gemma3),
    "idefics3": Placeholder("<image>", "<image>", _idefics3),
    "lfm2_vl": Placeholder("<image>", "<image>", _lfm2_vl),
    "llava": LLAVA,
    "mistral3": PIXTRAL,
    "pixtral": PIXTRAL,  # in the place of LLaVA's tower
    "qwen2_audio": QWEN2_AUDIO,
    "qwen2_vl": Placeholder("<|image_pad|>", "<|image_pad|>", _each),
    "qwen2_5_vl": Placeholder("<|image_pad|>", "<|image_pad|>", _each),
    "qwen3_5": Placeholder("<|image_pad|>", "<|image_pad|>", _each),
    "qwen3_5_moe": Placeholder("<|image_pad|>", "<|image_pad|>", _each),
    "qwen3_vl": Placeholder("<|image_pad|>", "<|image_pad|>", _each),
    "smolvlm": Placeholder("<image>", "<image>", _idefics3),
    "voxtral": Placeholder("[AUDIO]", "[AUDIO]", _voxtral, what="sound", is_inline=True),
}


def placeholder_of(model_type: str) -> Placeholder:
    if model_type not in PLACEHOLDERS:
        raise UnsupportedModel(f"how pictures or sounds stand in a prompt is not known of {model_type!r}")
    return PLACEHOLDERS[model_type]
