"""The built-in model: a small Llama in PyTorch, for training and as a slow, plain reference.

Same maths as `transformers.LlamaForCausalLM` (RoPE on half-split heads, grouped heads, SwiGLU, tied embeddings).
Projections that read the same input are stored as one matrix; `export.py` splits them.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Config:
    vocab_size: int = 4096
    hidden_size: int = 384
    intermediate_size: int = 1024
    num_layers: int = 8
    num_heads: int = 6
    num_kv_heads: int = 2
    head_dim: int = 64
    context: int = 1024
    rope_theta: float = 10000.0
    norm_eps: float = 1e-5

    @property
    def q_size(self) -> int:
        return self.num_heads * self.head_dim

    @property
    def kv_size(self) -> int:
        return self.num_kv_heads * self.head_dim


def rope_tables(config: Config, length: int, device: torch.device) -> tuple[Tensor, Tensor]:
    frequency = config.rope_theta ** (-torch.arange(0, config.head_dim, 2, device=device).float() / config.head_dim)
    angle = torch.arange(length, device=device).float()[:, None] * frequency
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x: (B, H, T, D); the first half of each head pairs with its second half."""
    a, b = x.float().chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1).to(x.dtype)


class Layer(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        c = self.config = config
        self.attn_norm = nn.RMSNorm(c.hidden_size, eps=c.norm_eps)
        self.qkv = nn.Linear(c.hidden_size, c.q_size + 2 * c.kv_size, bias=False)
        self.o = nn.Linear(c.q_size, c.hidden_size, bias=False)
        self.ffn_norm = nn.RMSNorm(c.hidden_size, eps=c.norm_eps)
        self.gate_up = nn.Linear(c.hidden_size, 2 * c.intermediate_size, bias=False)
        self.down = nn.Linear(c.intermediate_size, c.hidden_size, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        c, (B, T, _) = self.config, x.shape
        q, k, v = self.qkv(self.attn_norm(x)).split((c.q_size, c.kv_size, c.kv_size), dim=-1)
        q = rotate(q.view(B, T, c.num_heads, c.head_dim).transpose(1, 2), cos, sin)
        k = rotate(k.view(B, T, c.num_kv_heads, c.head_dim).transpose(1, 2), cos, sin)
        v = v.view(B, T, c.num_kv_heads, c.head_dim).transpose(1, 2)
        group = c.num_heads // c.num_kv_heads
        k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(attended.transpose(1, 2).reshape(B, T, c.q_size))
        gate, up = self.gate_up(self.ffn_norm(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)


class Llama(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_layers))
        self.norm = nn.RMSNorm(config.hidden_size, eps=config.norm_eps)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                last = name.endswith(("o.weight", "down.weight"))
                nn.init.normal_(weight, std=0.02 / (2 * config.num_layers) ** 0.5 if last else 0.02)

    def hidden(self, ids: Tensor) -> Tensor:
        """ids (B, T) to final hidden states (B, T, C)."""
        x = self.embed(ids)
        cos, sin = rope_tables(self.config, ids.shape[1], ids.device)
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.embed.weight)


@torch.inference_mode()
def greedy(model: Llama, prompts: list[list[int]], stop: int, max_tokens: int) -> list[list[int]]:
    """Greedy continuations of a batch, computed whole at every step: slow and plain on purpose."""
    device = model.embed.weight.device
    width = max(map(len, prompts)) + max_tokens
    ids = torch.zeros(len(prompts), width, dtype=torch.long, device=device)
    for row, prompt in enumerate(prompts):
        ids[row, : len(prompt)] = torch.tensor(prompt, device=device)
    lengths = torch.tensor([len(p) for p in prompts], device=device)
    alive = torch.ones(len(prompts), dtype=torch.bool, device=device)
    rows = torch.arange(len(prompts), device=device)
    for _ in range(max_tokens):
        hidden = model.hidden(ids[:, : int(lengths.max())])
        token = model.logits(hidden[rows, lengths - 1]).float().argmax(-1)
        ids[rows[alive], lengths[alive]] = token[alive]
        lengths = lengths + alive
        alive = alive & (token != stop)
        if not bool(alive.any()):
            break
    return [ids[row, len(p) : int(lengths[row])].tolist() for row, p in enumerate(prompts)]
