"""A tiny model with a real vocabulary and chat template; its weights are noise."""

import random
import struct
from pathlib import Path
from typing import Any

from fanlight.formats.gguf_writer import TensorData, write_gguf
from fanlight.text.gguf_vocabulary import LLAMA3
from tests.text.vocabularies import byte_level_metadata

HIDDEN, MIDDLE, HEAD = 64, 96, 32
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_model(path: Path, **changes: Any) -> Path:
    draw = random.Random(0)
    vocabulary = byte_level_metadata("qwen2", LLAMA3)
    shapes = {
        "token_embd.weight": (len(vocabulary["tokenizer.ggml.tokens"]), HIDDEN),
        "output_norm.weight": (HIDDEN,),
        "blk.0.attn_norm.weight": (HIDDEN,),
        "blk.0.attn_q.weight": (HIDDEN, HIDDEN),
        "blk.0.attn_k.weight": (HEAD, HIDDEN),
        "blk.0.attn_v.weight": (HEAD, HIDDEN),
        "blk.0.attn_output.weight": (HIDDEN, HIDDEN),
        "blk.0.ffn_norm.weight": (HIDDEN,),
        "blk.0.ffn_gate.weight": (MIDDLE, HIDDEN),
        "blk.0.ffn_up.weight": (MIDDLE, HIDDEN),
        "blk.0.ffn_down.weight": (HIDDEN, MIDDLE),
    }

    def noise(shape: tuple[int, ...]) -> bytes:
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        return struct.pack(f"<{count}f", *(draw.gauss(0, 0.2) for _ in range(count)))

    metadata = {
        "general.architecture": "llama",
        "llama.embedding_length": HIDDEN,
        "llama.feed_forward_length": MIDDLE,
        "llama.block_count": 1,
        "llama.attention.head_count": HIDDEN // HEAD,
        "llama.attention.head_count_kv": 1,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.context_length": 256,
        "tokenizer.chat_template": TEMPLATE,
        **vocabulary,
        **changes,
    }
    kept = {key: value for key, value in metadata.items() if value is not None}
    write_gguf(path, kept, [TensorData(name, "F32", shape, noise(shape)) for name, shape in shapes.items()])
    return path
