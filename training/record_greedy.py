"""PyTorch's greedy tokens for 50 held-out prompts, recorded in `tests/builtin/greedy.json`.

The reference is `transformers.LlamaForCausalLM` in float32 on the CPU with the weights that the GGUF file holds
(Q8_0, dequantised by the `gguf` package): `python -m training.record_greedy`.
"""

import argparse
import hashlib
import json
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM, __version__

from training.data import load_tokenizer
from training.dialogue import render
from training.export import half_split, read_tensors
from training.generate import held_out_prompts
from training.model import Config

NUM_PROMPTS, MAX_TOKENS = 50, 64
NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def transformers_model(path: Path) -> LlamaForCausalLM:
    c, tensors = Config(), read_tensors(path)
    config = LlamaConfig(
        vocab_size=c.vocab_size,
        hidden_size=c.hidden_size,
        intermediate_size=c.intermediate_size,
        num_hidden_layers=c.num_layers,
        num_attention_heads=c.num_heads,
        num_key_value_heads=c.num_kv_heads,
        head_dim=c.head_dim,
        max_position_embeddings=c.context,
        rms_norm_eps=c.norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": c.rope_theta},
        tie_word_embeddings=True,
    )
    state = {"model.embed_tokens.weight": tensors["token_embd.weight"], "model.norm.weight": tensors["output_norm.weight"]}
    for i in range(c.num_layers):
        for short, name in NAMES.items():
            array = tensors[f"blk.{i}.{short}.weight"]
            state[f"model.layers.{i}.{name}.weight"] = half_split(array, c.head_dim) if short in ("attn_q", "attn_k") else array
    state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model = LlamaForCausalLM(config).eval()
    model.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in state.items()})
    return model


@torch.inference_mode()
def greedy(model: LlamaForCausalLM, prompt: list[int], stop: int, max_tokens: int) -> tuple[list[int], float]:
    """Token ids up to and with the stop token, and the smallest gap between best and second logit on the way."""
    output: list[int] = []
    gap, cache, ids = float("inf"), None, torch.tensor([prompt])
    while len(output) < max_tokens:
        step = model(ids, past_key_values=cache, use_cache=True)
        cache = step.past_key_values
        best = step.logits[0, -1].topk(2)
        gap = min(gap, float(best.values[0] - best.values[1]))
        output.append(int(best.indices[0]))
        if output[-1] == stop:
            break
        ids = torch.tensor([output[-1:]])
    return output, gap


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("fanlight/builtin/model.gguf"))
    parser.add_argument("--record", type=Path, default=Path("tests/builtin/greedy.json"))
    arguments = parser.parse_args()
    model, tokenizer = transformers_model(arguments.model), load_tokenizer()
    stop = tokenizer.token_to_id("<|im_end|>")
    per_skill = -(-NUM_PROMPTS // 6)
    by_skill = held_out_prompts(per_skill)
    prompts = [p for i in range(per_skill) for p in by_skill[i::per_skill]][:NUM_PROMPTS]
    entries = []
    for prompt in prompts:
        text = render(prompt["messages"], prompt.get("tools", ()), generate=True)
        prompt_ids = tokenizer.encode(text).ids
        ids, gap = greedy(model, prompt_ids, stop, MAX_TOKENS)
        entry = {"skill": prompt["skill"], "messages": prompt["messages"], "text": text, "prompt_ids": prompt_ids}
        entry |= {"tools": prompt["tools"]} if "tools" in prompt else {}
        entries.append(entry | {"ids": ids, "answer": tokenizer.decode(ids), "smallest_gap": round(gap, 3)})
    head = {
        "model_sha256": hashlib.sha256(arguments.model.read_bytes()).hexdigest(),
        "reference": f"transformers {__version__}, torch {torch.__version__}, float32, CPU",
        "max_tokens": MAX_TOKENS,
    }
    lines = ",\n".join(json.dumps(e, ensure_ascii=False) for e in entries)
    arguments.record.write_text(f'{json.dumps(head)[:-1]}, "prompts": [\n{lines}\n]}}\n', encoding="utf-8")
    print(f"{len(entries)} prompts; smallest gap between best and second logit: {min(e['smallest_gap'] for e in entries)}")


if __name__ == "__main__":
    main()
