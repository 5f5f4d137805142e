"""llama.cpp's greedy tokens for the recorded prompts (needs `llama-cpp-python`); adds them to `tests/builtin/greedy.json`.

python -m training.record_greedy       # PyTorch first: it writes the prompts
python -m training.record_llamacpp
"""

import argparse
import json
from pathlib import Path

import llama_cpp

MAX_TOKENS = 64


class LlamaCpp:
    """Greedy generation through llama.cpp on the CPU."""

    def __init__(self, model: Path) -> None:
        self._llama = llama_cpp.Llama(str(model), n_ctx=1024, n_gpu_layers=0, verbose=False, logits_all=False)

    def token_ids(self, text: str) -> list[int]:
        return self._llama.tokenize(text.encode(), add_bos=False, special=True)

    def greedy(self, prompt: list[int], max_tokens: int) -> list[int]:
        """Token ids up to and with the end mark."""
        self._llama.reset()
        output: list[int] = []
        for token in self._llama.generate(prompt, temp=0.0, repeat_penalty=1.0):
            output.append(token)
            if token == self._llama.token_eos() or len(output) == max_tokens:
                break
        return output

    def answer(self, text: str, max_tokens: int) -> str:
        ids = self.greedy(self.token_ids(text), max_tokens)
        return self._llama.detokenize([i for i in ids if i != self._llama.token_eos()]).decode(errors="replace")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("fanlight/builtin/model.gguf"))
    parser.add_argument("--record", type=Path, default=Path("tests/builtin/greedy.json"))
    arguments = parser.parse_args()
    engine, record = LlamaCpp(arguments.model), json.loads(arguments.record.read_text(encoding="utf-8"))
    same_prompts = same_tokens = 0
    for entry in record["prompts"]:
        prompt_ids = engine.token_ids(entry["text"])
        entry["llama_cpp_ids"] = engine.greedy(entry["prompt_ids"], record["max_tokens"])
        same_prompts += prompt_ids == entry["prompt_ids"]
        same_tokens += entry["llama_cpp_ids"] == entry["ids"]
    record["llama_cpp"] = f"llama-cpp-python {llama_cpp.__version__}, CPU"
    lines = ",\n".join(json.dumps(e, ensure_ascii=False) for e in record.pop("prompts"))
    head = json.dumps(record, ensure_ascii=False)[:-1]
    arguments.record.write_text(f'{head}, "prompts": [\n{lines}\n]}}\n', encoding="utf-8")
    print(f"of {len(lines.splitlines())} prompts: same prompt ids {same_prompts}, same greedy ids {same_tokens}")


if __name__ == "__main__":
    main()
