"""Mistral 7B: Llama with a sliding window in its first version.  https://arxiv.org/abs/2310.06825
GGUF files of it call themselves llama."""

from fanlight.models.llama import GGUF_INTERLEAVED, GGUF_NAMES, forward

__all__ = ["GGUF_INTERLEAVED", "GGUF_NAMES", "forward"]
