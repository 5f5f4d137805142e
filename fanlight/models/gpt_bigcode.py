"""StarCoder and SantaCoder.  https://arxiv.org/abs/2305.06161
GPT-2, except: one key head for all queries, and matrices as everybody has them."""

from fanlight.compiler.graph import Node
from fanlight.models import gpt2, stablelm
from fanlight.models.config import Keys
from fanlight.models.decoder import read_decoder
from fanlight.models.gpt2 import Config
from fanlight.models.gpt_neox import parts_of
from fanlight.models.layers import attend, linear
from fanlight.models.rope import without_rope
from fanlight.models.weights import Weights

__all__ = ["GGUF_NAMES", "PAIRED_IN", "Config", "forward", "read_config"]

PAIRED_IN = ()

GGUF_NAMES = gpt2.GGUF_NAMES
# How the original computes the same.
NOT_READ = (
    "attention_softmax_in_fp32 scale_attention_softmax_in_fp32 inference_runner validate_runner_input pre_allocate_kv_cache"
    " pad_key_length max_batch_size n_ctx type_vocab_size"
).split()


def read_config(keys: Keys) -> Config:
    keys.rename(gpt2.KEYS)
    keys.assume("intermediate_size", 4 * keys.number("hidden_size"))
    fields = read_decoder(keys, longest=1024, is_tied=True, act="gelu_pytorch_tanh", rope=without_rope)
    keys.only("scale_attn_weights", True)
    keys.ignore(*NOT_READ)
    if not keys.is_gguf:
        fields["num_key_value_heads"] = 1 if keys.flag("multi_query", True) else fields["num_attention_heads"]
    return Config(**fields, layer_norm_eps=keys.positive("layer_norm_eps", 1e-5))


def forward(config: Config, weights: Weights, rows: int, samples: int, context_length: int) -> Node:
    w = weights["transformer"]
    x = gpt2.embedded(config, w, rows)  # [T, C]
    for i in range(config.num_hidden_layers):
        layer, mlp = w[f"h.{i}"], w[f"h.{i}.mlp"]
        x = x + attention(config, layer["attn"], stablelm.norm(config, layer["ln_1"], x), i)
        y = stablelm.norm(config, layer["ln_2"], x)
        x = x + gpt2.plain_mlp(config, mlp["c_fc"].biased(True), mlp["c_proj"].biased(True), y)
    return gpt2.head(config, w["ln_f"], w["wte"] if config.tie_word_embeddings else weights["lm_head"], x, samples)


def attention(config: Config, w: Weights, x: Node, i: int) -> Node:
    heads, kv_heads, head_dim = config.num_attention_heads, config.num_key_value_heads, config.head_dim
    sizes, qkv = (heads * head_dim, kv_heads * head_dim, kv_heads * head_dim), w["c_attn"].biased(True)
    parts = parts_of(qkv, heads, head_dim) if kv_heads == heads else qkv.split(*sizes)
    q, k, v = (linear(x, part, size) for part, size in zip(parts, sizes, strict=True))  # [T, H*D], [T, K*D] twice
    return linear(attend(q, k, v, i, heads, kv_heads), w["c_proj"].biased(True), config.hidden_size)  # [T, C]
