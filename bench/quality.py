"""What the fast paths cost in quality: logits of Fanlight against NumPy in high precision on the same weights.

    python -m bench quality                            the built-in model on its held-out dialogues
    python -m bench quality MODEL.gguf --text FILE     a model on a text; --random N: on N random tokens
    python -m bench quality --chrome PATH              in a page, as the browser compiles the kernels
    python -m bench quality --variant NAME:FIELD=VALUE,...     a way to compile (fields of CompileOptions; features=none;
                                                       vendor=apple)

Every variant is run on two paths: `prefill` (kernels for many rows) and `decode` (one row a step, the text given token by
token). The reference (scripts/golden/forward.py) knows no quantised activations and no half-precision cache. A row says how far
the perplexity is off (the default must stay within half a percent), how often the most likely token is the same, the relative
error of the logits, and their mean Kullback-Leibler divergence."""

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.machine import ROOT, now
from bench.page_device import add_device_arguments, open_chosen_device
from fanlight.compiler import CompileOptions, compile
from fanlight.compiler.program import Limits, Program, Row, Sample, pack_inputs
from fanlight.compiler.tuning import Tuning, start_of
from fanlight.driver import run
from fanlight.formats.checkpoint import Checkpoint, open_checkpoint
from fanlight.formats.quant import QUANT_TYPES
from fanlight.formats.resolve import BUILT_IN, resolve_model
from fanlight.models import Model, open_model
from fanlight.runtime import open_device
from fanlight.runtime.device import Device
from fanlight.text.tokenizer import NativeEncoder, Tokenizer, open_tokenizer
from scripts.golden import forward

VARIANTS = (
    "default:",
    "f16 products:vendor=apple",
    "f32 activations:activations=f32",
    "f32 activations and cache:activations=f32,kv_dtype=f32",
)
BOUND = 0.005  # of the perplexity, for the variant 'default'
PATHS = ("prefill", "decode")
LARGE = 1 << 28  # weights; above, the reference is in f32 so that it fits into memory


@dataclass(frozen=True, slots=True)
class Text:
    """Token ids; the tokens from `start` on are judged, by the positions before them."""

    ids: list[int]
    start: int = 1

    @property
    def positions(self) -> range:
        return range(self.start - 1, len(self.ids) - 1)


Texts = Sequence[Text]


@dataclass(frozen=True, slots=True)
class Variant:
    name: str
    options: dict[str, Any]
    features: frozenset[str] | None = None  # of the adapter's, those that may be used; None: all


@dataclass(frozen=True, slots=True)
class Comparison:
    """How one path of one variant compares."""

    variant: str
    path: str
    positions: int
    reference_perplexity: float
    perplexity: float
    perplexity_change: float
    agreement: float
    logits_error: float
    divergence: float


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    checkpoint = run(open_checkpoint(run(resolve_model(options.model))))
    model = run(open_model(checkpoint))
    texts = [text for text in texts_of(options, checkpoint, model) if text.start < len(text.ids) <= options.length]
    variants = [variant(v) for v in options.variant or VARIANTS]
    rows = list(measure(checkpoint, model, texts, variants, options.positions, partial(open_chosen_device, options)))
    print(table(rows))
    if options.json:
        head = {"date": now(), "model": options.model, "texts": len(texts)}
        with open(options.json, "a") as file:
            file.writelines(json.dumps(head | dataclasses.asdict(row)) + "\n" for row in rows)
    wrong = [row for row in rows if row.variant == "default" and not abs(row.perplexity_change) < BOUND]
    for row in wrong:
        print(f"{row.path}: the perplexity is off by {row.perplexity_change:+.2%}, more than {BOUND:.1%}", file=sys.stderr)
    return int(bool(wrong))


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench quality", description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default=BUILT_IN, help="a GGUF file (default: built-in)")
    parser.add_argument("--variant", action="append", metavar="NAME:FIELD=VALUE,...", help="instead of the usual ones")
    parser.add_argument("--text", type=Path, help="a text file, cut into pieces of --length tokens")
    parser.add_argument("--random", type=int, metavar="N", help="N random tokens instead of a text")
    parser.add_argument("--dialogues", type=int, default=60, help="held-out ones of the built-in model (default: %(default)s)")
    parser.add_argument("--length", type=int, default=512, help="tokens of a text at most (default: %(default)s)")
    parser.add_argument("--positions", type=int, default=16, help="of each text, in the path prefill (default: %(default)s)")
    add_device_arguments(parser)
    parser.add_argument("--json", metavar="FILE", help="append one line for each row")
    return parser.parse_args(arguments)


def variant(text: str) -> Variant:
    """'NAME:FIELD=VALUE,...'; a value is JSON where it can be read as such."""
    name, _, rest = text.partition(":")
    values = dict(part.split("=", 1) for part in rest.split(",") if part)
    features, vendor = values.pop("features", None), values.pop("vendor", None)
    known = {field.name for field in fields(CompileOptions)}
    if unknown := values.keys() - known:
        raise SystemExit(f"no such compile options: {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
    allowed = None if features is None else frozenset(features.split("+")) - {"none"}
    tuning = {"tuning": Tuning(start_of(vendor))} if vendor else {}
    return Variant(name, {key: _value(value) for key, value in values.items()} | tuning, allowed)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


# --- texts -----------------------------------------------------------------------------------------------------------
def texts_of(options: argparse.Namespace, checkpoint: Checkpoint, model: Model) -> Texts:
    if options.random:
        rng = np.random.default_rng(1)
        ids = rng.integers(0, model.config.vocab_size, options.random).tolist()
        return pieces(ids, options.length)
    tokenizer = open_tokenizer(checkpoint.format, checkpoint.metadata, NativeEncoder)
    if options.text:
        ids = run(tokenizer.encode(options.text.read_text(encoding="utf-8")))
        return pieces(ids, options.length)
    return dialogues(tokenizer, options.dialogues)


def pieces(ids: list[int], length: int) -> Texts:
    return [Text(ids[i : i + length]) for i in range(0, len(ids), length)]


def dialogues(tokenizer: Tokenizer, count: int) -> Texts:
    """Held-out ones of the built-in model, of every skill alike; the expected answers are judged, which is what it learnt."""
    from training.dialogue import assistant, render

    recorded = json.loads((ROOT / "tests/builtin/held_out.json").read_text(encoding="utf-8"))
    some = recorded[:: max(1, len(recorded) // count)][:count]
    questions = [render(d["messages"], d.get("tools", ()), generate=True) for d in some]
    whole = [render([*d["messages"], assistant(d["expected"])], d.get("tools", ())) for d in some]
    return [Text(run(tokenizer.encode(w)), len(run(tokenizer.encode(q)))) for w, q in zip(whole, questions, strict=True)]


# --- the two sides ---------------------------------------------------------------------------------------------------
def measure(
    checkpoint: Checkpoint,
    model: Model,
    texts: Texts,
    variants: Iterable[Variant],
    positions: int,
    open_one: Callable[[], Device] = open_device,
) -> Iterator[Comparison]:
    truth = reference_logits(checkpoint, model, texts)
    for v in variants:
        loaded = load(checkpoint, model, v, max(len(text.ids) for text in texts), open_one())
        for path in PATHS:
            chosen = [spread(text.positions, positions) if path == "prefill" else [*text.positions] for text in texts]
            found = [getattr(loaded, path)(text.ids, at) for text, at in zip(texts, chosen, strict=True)]
            expected = [logits[at] for logits, at in zip(truth, chosen, strict=True)]
            targets = [np.array(text.ids)[np.array(at) + 1] for text, at in zip(texts, chosen, strict=True)]
            yield compare(v.name, path, *map(np.concatenate, (expected, found, targets)))
        loaded.device.close()


def spread(positions: range, count: int) -> list[int]:
    """`count` of them, or all, evenly, the last among them."""
    step = max(1, len(positions) // count)
    return list(positions[::-step][:count])[::-1]


def reference_logits(checkpoint: Checkpoint, model: Model, texts: Texts) -> list[np.ndarray]:
    """[T, V] of each text."""
    config = model.config
    if config.model_type not in ("llama", "mistral", "qwen2", "qwen3"):
        raise SystemExit(f"the reference does not know {config.model_type}")
    windows = getattr(config, "windows", (getattr(config, "sliding_window", None),))
    if config.rope_scale != 1 or any(windows):
        raise SystemExit(f"the reference knows neither YaRN nor a sliding window, which {config.model_type} uses")
    decoder = forward.Decoder(
        config.num_hidden_layers,
        config.num_attention_heads,
        config.num_key_value_heads,
        config.head_dim,
        config.rms_norm_eps,
        np.array(config.inv_freq),
        rope_is_interleaved=model.weights.names.is_paired,
    )
    weights = reference_weights(checkpoint, model)
    return [forward.forward(decoder, weights, text.ids).astype(np.float32) for text in texts]


def reference_weights(checkpoint: Checkpoint, model: Model) -> dict[str, np.ndarray]:
    """Dequantised, under Hugging Face's names."""
    by_file_name = {}
    for template in model.architecture.GGUF_NAMES:
        for i in range(model.config.num_hidden_layers if "{i}" in template else 1):
            for kind in ("weight", "bias"):
                name = f"{template.replace('{i}', str(i))}.{kind}"
                by_file_name[model.weights.names.in_file(name)] = name
    is_large = sum(t.num_bytes for t in checkpoint.tensors.values()) > LARGE
    weights = {}
    for name, info in checkpoint.tensors.items():
        if name in by_file_name:
            quant = QUANT_TYPES[info.format]
            blocks = np.frombuffer(run(checkpoint.read(name)), np.uint8).reshape(-1, quant.block_bytes)
            values = quant.dequantize(blocks).reshape(info.shape)
            weights[by_file_name[name]] = values.astype(np.float32 if is_large else np.float64)
    return weights


@dataclass(frozen=True, slots=True)
class Loaded:
    """A compiled model on a device, fed by hand: sequence 0 has all blocks in order."""

    program: Program
    device: Device

    def prefill(self, text: list[int], positions: list[int]) -> np.ndarray:
        """f32 [positions, V]: the text in as few steps as possible, each repeated until all its positions were sampled."""
        made = []
        for first in range(0, positions[-1] + 1, self.program.max_rows):
            rows = [Row(token, first + i, 0) for i, token in enumerate(text[first : first + self.program.max_rows])]
            wanted = [at - first for at in positions if first <= at < first + len(rows)] or [len(rows) - 1]
            for i in range(0, len(wanted), self.program.max_num_seqs):
                made.append(self._step(rows, wanted[i : i + self.program.max_num_seqs]))
        return np.concatenate(made)[-len(positions) :]

    def decode(self, text: list[int], positions: list[int]) -> np.ndarray:
        wanted = set(positions)
        made = [self._step([Row(token, at, 0)], [0]) for at, token in enumerate(text[: positions[-1] + 1])]
        return np.concatenate([logits for at, logits in enumerate(made) if at in wanted])

    def _step(self, rows: list[Row], sampled: list[int]) -> np.ndarray:
        samples = [Sample(row, slot) for slot, row in enumerate(sampled)]
        step = self.program.step_for(len(rows), len(samples))
        run(self.device.result(self.device.submit(step.name, pack_inputs(rows, samples, self.program.max_num_seqs))))
        size = 4 * len(samples) * self.program.vocab_size
        logits = np.frombuffer(run(self.device.read("logits", 0, size)), np.float32)
        return logits.reshape(len(samples), -1).copy()


def load(checkpoint: Checkpoint, model: Model, v: Variant, length: int, device: Device) -> Loaded:
    limits: Limits = device.limits
    if v.features is not None:
        limits = replace(limits, features=limits.features & v.features)
    options = CompileOptions(**{"context_length": length, "max_rows": min(512, max(32, length)), **v.options})
    program = compile(model, limits, options)
    run(device.prepare(program))
    run(device.load(checkpoint.sources, lambda done, total: None))
    device.write("block_table", 0, np.arange(program.max_blocks_per_seq, dtype=np.uint32).tobytes())
    return Loaded(program, device)


# --- the comparison --------------------------------------------------------------------------------------------------
def compare(name: str, path: str, expected: np.ndarray, found: np.ndarray, targets: np.ndarray) -> Comparison:
    """expected, found: [N, V] logits; targets: [N] the tokens that follow."""
    true, fast = (log_softmax(logits.astype(np.float64)) for logits in (expected, found))
    rows = np.arange(len(targets))
    true_ppl, fast_ppl = (float(np.exp(-logs[rows, targets].mean())) for logs in (true, fast))
    return Comparison(
        name,
        path,
        len(targets),
        true_ppl,
        fast_ppl,
        fast_ppl / true_ppl - 1,
        float((true.argmax(axis=1) == fast.argmax(axis=1)).mean()),
        float(np.linalg.norm(found - expected) / np.linalg.norm(expected)),
        float((np.exp(true) * (true - fast)).sum(axis=1).mean()),
    )


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def table(rows: Sequence[Comparison]) -> str:
    lines = [
        "| variant | path | positions | perplexity, reference | change | same best token | error of logits | divergence |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for r in rows:
        cells = (r.variant, r.path, r.positions, f"{r.reference_perplexity:.4f}", f"{r.perplexity_change:+.4%}")
        more = (f"{r.agreement:.2%}", f"{r.logits_error:.2e}", f"{r.divergence:.2e}")
        lines.append("| " + " | ".join(map(str, (*cells, *more))) + " |")
    return "\n".join(lines)
