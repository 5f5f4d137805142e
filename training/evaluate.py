"""Held-out accuracy per skill at temperature 0, on any engine.

    python -m training.evaluate --engine torch --model fanlight/builtin/model.gguf
    python -m training.evaluate --engine llama.cpp --model fanlight/builtin/model.gguf
    python -m training.evaluate --engine openai --url http://127.0.0.1:8000/v1

An engine is a function from prompts (OpenAI messages and tools) to answers. An answer is right when it equals the
expected text; tool calls and JSON answers are compared as values, so that only their meaning counts.
"""

import argparse
import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from training.dialogue import answer_text, render
from training.generate import held_out_prompts

Prompt = dict[str, Any]
Answers = Callable[[Sequence[Prompt]], list[str]]
MAX_TOKENS = 420
CALL = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)


def right(expected: str, answer: str) -> bool:
    if expected == answer.strip():
        return True
    try:
        if "<tool_call>" in expected:
            return [json.loads(c) for c in CALL.findall(expected)] == [json.loads(c) for c in CALL.findall(answer)]
        return expected[:1] in "{[" and json.loads(expected) == json.loads(answer)
    except ValueError:
        return False


def torch_engine(model: Path) -> Answers:
    import torch

    from training.data import load_tokenizer
    from training.export import read_gguf
    from training.model import greedy

    device = "cuda" if torch.cuda.is_available() else "cpu"
    llama, tokenizer = read_gguf(model).to(device), load_tokenizer()
    stop = tokenizer.token_to_id("<|im_end|>")

    def answers(prompts: Sequence[Prompt]) -> list[str]:
        ids = [tokenizer.encode(render(p["messages"], p.get("tools", ()), generate=True)).ids for p in prompts]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        texts = [""] * len(ids)
        for first in range(0, len(order), 100):
            rows = order[first : first + 100]
            outputs = greedy(llama, [ids[i] for i in rows], stop, MAX_TOKENS)
            for i, output in zip(rows, outputs, strict=True):
                texts[i] = tokenizer.decode(output)
        return texts

    return answers


def llamacpp_engine(model: Path) -> Answers:
    from training.record_llamacpp import LlamaCpp

    engine = LlamaCpp(model)
    return lambda prompts: [
        engine.answer(render(p["messages"], p.get("tools", ()), generate=True), MAX_TOKENS) for p in prompts
    ]


def openai_engine(url: str) -> Answers:
    from openai import OpenAI

    client = OpenAI(base_url=url, api_key="none")
    model = client.models.list().data[0].id

    def answer(prompt: Prompt) -> str:
        extra = {"tools": list(prompt["tools"])} if prompt.get("tools") else {}
        reply = client.chat.completions.create(
            model=model, messages=prompt["messages"], temperature=0, max_tokens=MAX_TOKENS, **extra
        )
        message = reply.choices[0].message.model_dump()
        return answer_text({"content": message["content"], "tool_calls": message.get("tool_calls")})

    return lambda prompts: [answer(p) for p in prompts]


def evaluate(answers: Answers, prompts: Sequence[Prompt]) -> dict[str, dict[str, Any]]:
    results: dict[str, dict[str, Any]] = {}
    texts = answers(prompts)
    for prompt, text in zip(prompts, texts, strict=True):
        result = results.setdefault(prompt["skill"], {"right": 0, "total": 0, "wrong": []})
        result["total"] += 1
        if right(prompt["expected"], text):
            result["right"] += 1
        else:
            asked = " / ".join(str(m["content"]) for m in prompt["messages"][-3:])
            result["wrong"].append({"asked": asked, "expected": prompt["expected"], "answer": text})
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("torch", "llama.cpp", "openai"), default="torch")
    parser.add_argument("--model", type=Path, default=Path("fanlight/builtin/model.gguf"))
    parser.add_argument("--url", default="http://127.0.0.1:8000/v1")
    parser.add_argument("--per-skill", type=int, default=200)
    parser.add_argument("--show-wrong", type=int, default=3, help="print this many wrong answers per skill")
    arguments = parser.parse_args()
    engines: dict[str, Callable[[], Answers]] = {
        "torch": lambda: torch_engine(arguments.model),
        "llama.cpp": lambda: llamacpp_engine(arguments.model),
        "openai": lambda: openai_engine(arguments.url),
    }
    answers, begin = engines[arguments.engine](), time.monotonic()
    for skill, result in evaluate(answers, held_out_prompts(arguments.per_skill)).items():
        print(f"{skill:16s} {result['right']:4d} / {result['total']:4d}  {result['right'] / result['total']:.1%}")
        for wrong in result["wrong"][: arguments.show_wrong]:
            print(f"    {json.dumps(wrong, ensure_ascii=False)}")
    print(f"{arguments.engine}: {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
