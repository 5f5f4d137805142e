"""A model of text as people wrote it, to see what Fanlight's fast paths cost: the built-in one learnt generated dialogues only.

    python -m training.text FOLDER --out real.gguf --max-minutes 3        # a few minutes on a GPU
    python -m bench quality real.gguf --text real.txt

Takes every text and source file under FOLDER but about one in a hundred, which go into the .txt beside the model. Twelve layers
of 384, the size of MiniLM; matrices in Q4_0, the embedding in Q8_0."""

import argparse
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import gguf
import numpy as np
from tokenizers import Tokenizer

from training.data import Batch
from training.export import add_shape, add_vocabulary, write_tensors
from training.model import Config, Llama
from training.tokenizer import byte_level_bpe
from training.train import add_arguments, train

CONFIG = Config(vocab_size=8192, intermediate_size=1536, num_layers=12)
SUFFIXES = {".md", ".rst", ".txt", ".py"}
LARGEST = 1 << 20  # bytes of a file; larger ones are tables
BETWEEN = "<|endoftext|>"
TOKENIZER_TEXTS = 5000
HELD_OUT_CHARACTERS = 200_000


def read_texts(folder: Path, most_bytes: int) -> tuple[list[str], list[str]]:
    """Those to learn and those held out, by the hash of the text; the same text counts once."""
    learned: dict[str, str] = {}
    held_out: dict[str, str] = {}
    total = 0
    for path in sorted(p for p in folder.rglob("*") if p.suffix in SUFFIXES and p.is_file()):
        if 0 < path.stat().st_size <= LARGEST and total < most_bytes:
            text = path.read_text(encoding="utf-8", errors="ignore")
            name = sha256(text.encode()).hexdigest()
            (held_out if int(name[:4], 16) % 100 == 0 else learned)[name] = text
            total += len(text)
    # In the order of their hashes, so that a part of them is a mixture.
    return [text for _, text in sorted(learned.items())], [text for _, text in sorted(held_out.items())]


def batches(tokenizer: Tokenizer, texts: list[str], seed: int, batch_tokens: int) -> Iterator[Batch]:
    """Windows of one long row of all texts, from anywhere in it."""
    between = [tokenizer.token_to_id(BETWEEN)]
    ids = np.concatenate([np.array(e.ids + between, np.uint16) for e in tokenizer.encode_batch(texts)])
    print(f"{len(texts)} texts, {len(ids) / 1e6:.1f} M tokens", flush=True)
    rng, width = np.random.default_rng(seed), min(CONFIG.context, len(ids) - 1)
    while True:
        starts = rng.integers(0, len(ids) - width, max(1, batch_tokens // width))
        rows = ids[starts[:, None] + np.arange(width + 1)]
        yield Batch(rows, np.ones(rows.shape, bool))


def write(tokenizer: Tokenizer, model: Llama, path: Path) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("Fanlight's model of text")
    add_shape(writer, model.config, gguf.LlamaFileType.MOSTLY_Q4_0)
    ids = add_vocabulary(writer, json.loads(tokenizer.to_str()))
    writer.add_eos_token_id(ids[BETWEEN])
    write_tensors(writer, model, gguf.GGMLQuantizationType.Q4_0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megabytes", type=int, default=100, help="of text at most (default: %(default)s)")
    add_arguments(parser)
    arguments = parser.parse_args()
    learned, held_out = read_texts(arguments.folder, arguments.megabytes << 20)
    tokenizer = byte_level_bpe(learned[:TOKENIZER_TEXTS], CONFIG.vocab_size, [BETWEEN])
    arguments.out.with_suffix(".txt").write_text("\n".join(held_out)[:HELD_OUT_CHARACTERS], encoding="utf-8")
    stream = batches(tokenizer, learned, arguments.seed, arguments.batch_tokens)
    train(CONFIG, stream, arguments, lambda model, path: write(tokenizer, model, path))


if __name__ == "__main__":
    main()
