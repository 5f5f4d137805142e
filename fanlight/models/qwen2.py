"""Qwen2 and Qwen2.5, dense: Llama, except that q, k and v have biases.  https://arxiv.org/abs/2407.10671
A bias is used wherever the checkpoint has one, so this is Llama's forward; only GGUF's row order differs."""

from fanlight.models.llama import GGUF_NAMES, forward

GGUF_INTERLEAVED = False

__all__ = ["GGUF_INTERLEAVED", "GGUF_NAMES", "forward"]
