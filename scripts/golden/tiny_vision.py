"""Tiny random checkpoints of architectures that take pictures in: one for each tower, and for what stands between it and the
language model. Drawn and written as tiny_models does; pictures are drawn too, as bytes of the size that the tower reads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scripts.golden import tiny_delta, tiny_llava, tiny_qwen_vl, tiny_siglip
from scripts.golden.tiny_models import (
    TOKENIZER_CONFIG,
    draw_uniform,
    draw_weight,
    draw_words,
    heads,
    tokenizer_json,
    write_documents,
    write_folder,
)
from scripts.golden.tiny_parts import (
    FIRST_PICTURE_TOKEN,
    SHARED,
    SILU,
    VOCAB,
    Shapes,
    attention,
    default_rope,
    gated_mlp,
    linear,
    norms,
    text_shapes,
)

PICTURE_TOKENS = (
    "<image>",
    "<fake_token_around_image>",
    "<global-img>",
    *(f"<row_{row}_col_{column}>" for row in (1, 2, 3) for column in (1, 2, 3)),
    "<start_of_image>",
    "<end_of_image>",
    "<image_soft_token>",
    "<end_of_utterance>",
)
IMAGE = FIRST_PICTURE_TOKEN  # the token that stands for a row of a picture
TEMPLATE = (
    "{% for m in messages %}<s>{{ m['role'] }}: {% if m['content'] is string %}{{ m['content'] }}{% else %}"
    "{% for part in m['content'] %}{% if part['type'] == 'image' %}MARK{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{% endif %}<end_of_utterance>{% endfor %}{% if add_generation_prompt %}<s>assistant: {% endif %}"
)
TEXT_IDS = 3, 190
LLAMA = {
    **SHARED,
    "vocab_size": VOCAB,
    "model_type": "llama",
    "rms_norm_eps": 1e-5,
    **heads(6, 2, 16),
    **SILU,
    **default_rope(10000.0),
}


@dataclass(frozen=True, slots=True)
class TinyVision:
    """rows: of the language model, that a picture takes. size: pixels from top to bottom; width: across, 0: as many. mean, std:
    of the processor. lines: that a picture's rows stand in, the second of `tokens` between them and the third
    behind; 0: they are one."""

    config: dict[str, Any]
    shapes: Callable[[dict[str, Any]], Shapes]
    rows: int
    size: int
    mean: float = 0.5
    std: float = 0.5
    preprocessor: dict[str, Any] = field(default_factory=dict)
    mark: str = "<image>"  # what the chat template writes for a picture
    about: str = ""
    width: int = 0
    processor: dict[str, Any] = field(default_factory=dict)
    tokens: tuple[str, ...] = PICTURE_TOKENS
    lines: int = 0

    @property
    def image(self) -> int:
        """The token that stands for a row of a picture."""
        return self.config.get("image_token_id", self.config.get("image_token_index"))

    @property
    def line(self) -> int:
        """Rows side by side, where others are below them behind a token; else 0."""
        return self.rows // self.lines if self.lines else 0

    @property
    def seen(self) -> list[int]:
        """The tokens that stand for a picture."""
        if not self.lines:
            return [self.image] * self.rows
        line = [*[self.image] * self.line, self.image + 1]
        return [*(line * self.lines)[:-1], self.image + 2]

    @property
    def across(self) -> int:
        return self.width or self.size


# --- Idefics 3 ---------------------------------------------------------------------------------------------------------
def idefics3_shapes(config: dict[str, Any]) -> Shapes:
    text, vision, scale = config["text_config"], config["vision_config"], config["scale_factor"]
    yield from text_shapes(text, "model.text_model")
    yield from tiny_siglip.siglip_shapes(vision, "model.vision_model")
    width = vision["hidden_size"] * scale**2
    yield from linear("model.connector.modality_projection.proj", text["hidden_size"], width)


def idefics3(model_type: str, class_name: str, scale: int, **vision: Any) -> dict[str, Any]:
    return {
        "architectures": [f"{class_name}ForConditionalGeneration"],
        "model_type": model_type,
        "image_token_id": IMAGE,
        "scale_factor": scale,
        "tie_word_embeddings": False,
        "eos_token_id": SHARED["eos_token_id"],
        "text_config": LLAMA,
        "vision_config": {"model_type": f"{model_type}_vision", **tiny_siglip.SIGLIP, **vision},
    }


# --- pictures' processors, and Gemma 3 ---------------------------------------------------------------------------------
IDEFICS3 = {
    "image_processor_type": "Idefics3ImageProcessor",
    "size": {"longest_edge": 112},
    "max_image_size": {"longest_edge": 56},
    "do_image_splitting": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}


# --- Gemma 3 -----------------------------------------------------------------------------------------------------------
def gemma3_shapes(config: dict[str, Any]) -> Shapes:
    text, vision = config["text_config"], config["vision_config"]
    hidden, vocab = text["hidden_size"], text["vocab_size"]
    yield "model.language_model.embed_tokens.weight", (vocab, hidden)
    ends = ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")
    for layer in range(text["num_hidden_layers"]):
        parts = [*norms(hidden, *ends), *norms(text["head_dim"], "self_attn.q_norm", "self_attn.k_norm")]
        for part, shape in [*parts, *attention(text), *gated_mlp(text)]:
            yield f"model.language_model.layers.{layer}.{part}", shape
    yield from norms(hidden, "model.language_model.norm")
    yield "lm_head.weight", (vocab, hidden)
    yield from tiny_siglip.siglip_shapes(vision, "model.vision_tower")
    yield from norms(vision["hidden_size"], "model.multi_modal_projector.mm_soft_emb_norm")
    yield "model.multi_modal_projector.mm_input_projection_weight", (vision["hidden_size"], hidden)


GEMMA3 = {
    "architectures": ["Gemma3ForConditionalGeneration"],
    "model_type": "gemma3",
    "image_token_id": FIRST_PICTURE_TOKEN + PICTURE_TOKENS.index("<image_soft_token>"),
    "boi_token_id": FIRST_PICTURE_TOKEN + PICTURE_TOKENS.index("<start_of_image>"),
    "eoi_token_id": FIRST_PICTURE_TOKEN + PICTURE_TOKENS.index("<end_of_image>"),
    "mm_tokens_per_image": 16,
    "tie_word_embeddings": False,  # an answer that copies its last token tells nothing
    "eos_token_id": SHARED["eos_token_id"],
    "text_config": {
        **SHARED,
        "vocab_size": VOCAB,
        "model_type": "gemma3_text",
        "rms_norm_eps": 1e-6,
        **heads(4, 2, 16),
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": 16,
        "tie_word_embeddings": False,
        "sliding_window": 19,
        "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        },
    },
    "vision_config": {
        **tiny_siglip.SIGLIP,
        "model_type": "siglip_vision_model",
        "hidden_size": 64,
        "image_size": 112,
        "vision_use_head": False,
    },
}
GEMMA3_PICTURES = {
    "image_processor_type": "Gemma3ImageProcessor",
    "size": {"height": 112, "width": 112},
    "do_pan_and_scan": False,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}

# As published files: of six layers one sees everything.
GEMMA3_PUBLISHED = {
    **GEMMA3,
    "text_config": {
        **GEMMA3["text_config"],
        "num_hidden_layers": 6,
        "layer_types": ["sliding_attention"] * 5 + ["full_attention"],
    },
}

SMALL = 15, 24  # rows of a picture, and pixels from top to bottom, of those of 24 x 40
IN_LINES: dict[str, Any] = {"width": 40, "mark": "[IMG]", "tokens": tiny_llava.PIXTRAL_TOKENS, "lines": 3}
CASES: dict[str, TinyVision] = {
    "gemma3-published": TinyVision(
        GEMMA3_PUBLISHED,
        gemma3_shapes,
        16,
        112,
        preprocessor=GEMMA3_PICTURES,
        mark="<start_of_image>",
        about="a GGUF file and its encoder's (mmproj)",
    ),
    "qwen2_5_vl-published": TinyVision(
        tiny_qwen_vl.QWEN2_5_VL_PUBLISHED,
        tiny_qwen_vl.qwen2_5_vl_shapes,
        30,
        140,
        width=168,
        about="a GGUF file and its encoder's (mmproj): windows",
    ),
    "qwen2_vl": TinyVision(
        tiny_qwen_vl.QWEN2_VL,
        tiny_qwen_vl.qwen2_vl_shapes,
        15,
        24,
        width=40,
        about="LayerNorm, an MLP without a gate, no windows",
    ),
    "qwen3_vl": TinyVision(
        tiny_qwen_vl.QWEN3_VL,
        tiny_qwen_vl.qwen3_vl_shapes,
        15,
        24,
        width=40,
        about="a table stretched to the picture; states added to the layers below",
    ),
    "qwen3_5": TinyVision(
        tiny_qwen_vl.QWEN3_5, tiny_qwen_vl.qwen3_5_shapes, 15, 24, width=40, about="layers with a state; half of a head turns"
    ),
    "qwen3_5-published": TinyVision(
        tiny_qwen_vl.QWEN3_5_PUBLISHED,
        tiny_qwen_vl.qwen3_5_shapes,
        15,
        24,
        width=40,
        about="a GGUF file and its encoder's (mmproj)",
    ),
    "qwen2_5_vl": TinyVision(
        tiny_qwen_vl.QWEN2_5_VL,
        tiny_qwen_vl.qwen2_5_vl_shapes,
        15,
        24,
        width=40,
        preprocessor={"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 4, "merge_size": 2},
        about="windows of which the last are cut; places in three axes; 6 x 10 patches",
    ),
    "lfm2_vl": TinyVision(
        tiny_siglip.LFM2_VL,
        tiny_siglip.lfm2_vl_shapes,
        15,
        96,
        width=160,
        preprocessor=tiny_siglip.LFM2_VL_PICTURES,
        tokens=tiny_siglip.LFM2_VL_TOKENS,
        about="8 x 8 places over 6 x 10 patches, of which four become a row by an MLP",
    ),
    "lfm2_vl-later": TinyVision(
        tiny_siglip.LFM2_VL_LATER,
        tiny_siglip.lfm2_vl_shapes,
        15,
        24,
        width=40,
        about="patches of 4 pixels; a projector without norm and biases; a head of its own",
    ),
    "gemma3": TinyVision(
        GEMMA3,
        gemma3_shapes,
        16,
        112,
        preprocessor=GEMMA3_PICTURES,
        mark="<start_of_image>",
        about="the mean of four patches; rows of a picture see each other, through a window too",
    ),
    "mistral3": TinyVision(
        tiny_llava.MISTRAL3,
        tiny_llava.mistral3_shapes,
        *SMALL,
        **IN_LINES,
        **tiny_llava.pixtral_processor(4, 2),
        about="four patches become a row by a product; Ministral 3, whose queries grow among the rows of a picture",
    ),
    "mistral3-turned": TinyVision(
        tiny_llava.MISTRAL3_PUBLISHED,
        tiny_llava.mistral3_shapes,
        *SMALL,
        **IN_LINES,
        **tiny_llava.pixtral_processor(4, 2),
        about="places turn by the frequencies that llama.cpp's converter leaves out",
    ),
    "pixtral": TinyVision(
        tiny_llava.PIXTRAL,
        tiny_llava.llava_shapes,
        *SMALL,
        **IN_LINES,
        **tiny_llava.pixtral_processor(8),
        about="as Pixtral 12B: a patch is a row; a Mistral inside, names of transformers 4",
    ),
    "llava": TinyVision(
        tiny_llava.LLAVA,
        tiny_llava.llava_shapes,
        16,
        56,
        tokens=("<image>",),
        **tiny_llava.CLIP_PROCESSOR,
        about="as LLaVA 1.5: CLIP's tower but for its last layer, a row beside those of patches",
    ),
    "idefics3": TinyVision(
        idefics3("idefics3", "Idefics3", 2), idefics3_shapes, 4, 56, preprocessor=IDEFICS3, about="four patches become a row"
    ),
    "smolvlm": TinyVision(
        idefics3("smolvlm", "SmolVLM", 3, image_size=96, patch_size=8, hidden_act="gelu"),
        idefics3_shapes,
        16,
        96,
        preprocessor={**IDEFICS3, "size": {"longest_edge": 192}, "max_image_size": {"longest_edge": 96}},
        about="nine patches become a row; 144 of them, so that a block of attention's keys is not all",
    ),
}


def prompt_of(name: str, attempt: int) -> list[int]:
    """Text, a picture, text, another picture, text."""
    first, last = TEXT_IDS
    text = [
        first + int(word) % (last - first) for word in draw_words(f"vision prompt {attempt} of {name}", 40) >> np.uint64(33)
    ]
    seen = CASES[name].seen
    return [*text[:9], *seen, *text[9:16], *seen, *text[16:23]]


def picture_of(name: str, number: int) -> np.ndarray:
    """u8 [height, width, 3]: noise over a ramp, so that places tell."""
    size, width = CASES[name].size, CASES[name].across
    noise = draw_words(f"picture {number} of {name}", size * width * 3).reshape(size, width, 3) >> np.uint64(56)
    ramp = np.linspace(0, 255, size)[:, None, None] * [1, 0, 0.5] + np.linspace(0, 255, width)[None, :, None] * [0, 1, 0.5]
    return np.clip(0.4 * noise.astype(np.float64) + 0.6 * ramp, 0, 255).astype(np.uint8)


def tensors_of(name: str) -> dict[str, np.ndarray]:
    case = CASES[name]
    return {part: _draw(f"{name}/{part}", part, shape) for part, shape in case.shapes(case.config)}


def _draw(key: str, part: str, shape: tuple[int, ...]) -> np.ndarray:
    if len(shape) == 1 and part.endswith(("norm1.weight", "norm2.weight", "ln_q.weight", "ln_pre.weight", "layrnorm.weight")):
        return np.float32(1.0) + draw_uniform(key, shape, 0.25)
    if "position_embedding" in part or "pos_embed" in part or "class_embedding" in part:
        return draw_uniform(key, shape, 0.5)
    if len(shape) >= 4:
        return draw_uniform(key, shape, 1.0 / np.prod(shape[1:]) ** 0.5)
    if part.endswith("norm.weight") and "gemma3" in key:
        return draw_uniform(key, shape, 0.25)  # to which 1 is added
    if part.endswith("dt_bias"):
        return draw_uniform(key, shape, 0.4)
    own = tiny_delta.draw_weight(key, part, shape) if key.startswith("qwen3_5") and "language_model" in part else None
    return draw_weight(key, part, shape) if own is None else own


def make_checkpoint(name: str, folder: str | Path) -> Path:
    """Writes the case as a Hugging Face folder at `folder`, which is made if missing, and returns it."""
    case, tensors = CASES[name], tensors_of(name)
    vocab = case.config["text_config"]["vocab_size"]
    folder = write_folder(folder, case.config, vocab, tensors, dict.fromkeys(tensors, "F32"))
    if vocab < VOCAB:  # without tokens for what stands around pictures
        return folder
    template = TEMPLATE.replace("MARK", case.mark)
    documents = {
        "tokenizer.json": tokenizer_of(vocab, case.tokens),
        "tokenizer_config.json": {**TOKENIZER_CONFIG, "chat_template": template},
    }
    documents |= {"preprocessor_config.json": case.preprocessor} if case.preprocessor else {}
    documents |= {"processor_config.json": case.processor} if case.processor else {}
    return write_documents(folder, documents)


def tokenizer_of(vocab_size: int, tokens: Sequence[str] = PICTURE_TOKENS) -> dict[str, Any]:
    """With the tokens that stand for pictures, or sounds, and around them."""
    spec = tokenizer_json(vocab_size)
    flags = spec["added_tokens"][0]
    for i, token in enumerate(tokens, FIRST_PICTURE_TOKEN):
        (spare,) = (text for text, number in spec["model"]["vocab"].items() if number == i)
        del spec["model"]["vocab"][spare]
        spec["model"]["vocab"][token] = i
        spec["added_tokens"].append({**flags, "id": i, "content": token})
    return spec


def chat_of(attempt: int) -> list[dict[str, Any]]:
    """A conversation with a picture in it, as transformers' processors take it."""
    about = "".join(chr(97 + int(word % 26)) for word in draw_words(f"chat {attempt}", 12) >> np.uint64(33))
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": f"What is {about}?"}]}]


def wide_picture(number: int = 0) -> np.ndarray:
    """u8 [height, width, 3], of no size that a tower reads."""
    height, width = 66, 100
    noise = draw_words(f"wide picture {number}", height * width * 3).reshape(height, width, 3) >> np.uint64(57)
    ramp = np.arange(height)[:, None, None] * [1, 0, 1] + np.arange(width)[None, :, None] * [0, 1, 0.3]
    return np.clip(noise.astype(np.float64) * 0.5 + ramp, 0, 255).astype(np.uint8)
