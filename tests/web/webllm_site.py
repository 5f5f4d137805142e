"""What tests of fanlight/webllm share: a tiny random model as MLC LLM writes it, and a site that serves it as a hub would.  A
software adapter takes long: the model has one layer, and answers are short."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from scripts.golden import tiny_mlc
from tests.web.browser import CHROMIUM_FLAGS, Served, serve
from tests.web.fixtures import CHROMIUM, Site

MODEL = "/mlc-ai/tiny-q4f16_1-MLC/resolve/main/"
ROLES = {"user": "<|im_start|>user", "assistant": "<|im_start|>assistant", "tool": "<|im_start|>tool"}
CONV_TEMPLATE = {
    "name": "chatml",
    "system_template": "<|im_start|>system\n{system_message}<|im_end|>\n",
    "system_message": "You are a test.",
    "roles": ROLES,
    "role_templates": {"user": "{user_message}", "assistant": "{assistant_message}", "tool": "{tool_message}"},
    "seps": ["<|im_end|>\n"],
    "role_content_sep": "\n",
    "role_empty_sep": "\n",
    "stop_str": ["<|im_end|>"],
    "stop_token_ids": [257],
}


def make_model(folder: Path) -> Path:
    """Bytes are its tokens, and the three marks of ChatML."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = tokenizers.Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>", "<|endoftext|>"])
    sizes = {"vocab_size": 288, "num_hidden_layers": 1}
    extra = {
        "temperature": 0.7,
        "top_p": 0.95,
        "context_window_size": 2048,
        "conv_template": CONV_TEMPLATE,
        "eos_token_id": 257,
    }
    tiny_mlc.make_mlc("llama", "q4f16_1", folder, sizes, tokenizer_files=["tokenizer.json"], **extra)
    (folder / "tokenizer.json").write_text(tokenizer.to_str())
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|im_end|>"}))
    return folder


@contextmanager
def open_site(assets: Path, folder: Path) -> Iterator[Site]:
    folders = {"/pages/": Path(__file__).parent / "pages", MODEL: make_model(folder), "/": assets}
    served = Served(folders)
    with serve(served) as url:
        yield Site(url, served)


__all__ = ["CHROMIUM", "CHROMIUM_FLAGS", "MODEL", "make_model", "open_site"]
