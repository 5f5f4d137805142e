"""Trains the built-in model and writes it as GGUF: `python -m training.train --out model.gguf`.

bf16 on a GPU takes minutes; on a CPU only tiny settings make sense. The run is fixed by its seed and number of steps
(up to the order of floating-point sums); `--max-minutes` anneals early where the machine is slower than expected.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from training import data
from training.export import write_gguf
from training.model import Config, Llama

PEAK_LR, WARMUP, WEIGHT_DECAY = 2e-3, 300, 0.1


def optimizer_of(model: Llama, fused: bool) -> torch.optim.AdamW:
    matrices = [p for p in model.parameters() if p.dim() == 2]
    vectors = [p for p in model.parameters() if p.dim() != 2]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=PEAK_LR, betas=(0.9, 0.95), fused=fused)


def loss_of(model: Llama, batch: data.Batch, device: torch.device) -> Tensor:
    """Mean cross-entropy of the learned tokens."""
    ids = torch.from_numpy(batch.ids.astype("int32")).to(device, non_blocking=True).long()
    learn = torch.from_numpy(batch.learn[:, 1:].reshape(-1).nonzero()[0]).to(device, non_blocking=True)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        hidden = model.hidden(ids[:, :-1]).flatten(0, 1)[learn]
        logits = model.logits(hidden)
    return F.cross_entropy(logits.float(), ids[:, 1:].flatten()[learn])


def train(
    config: Config, stream: Iterator[data.Batch], arguments: argparse.Namespace, save: Callable[[Llama, Path], None]
) -> None:
    """Trains on the stream and saves the model as `arguments.out`; `arguments` are those of add_arguments."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(arguments.seed)
    torch.set_float32_matmul_precision("high")
    model = Llama(config).to(device)
    optimizer = optimizer_of(model, device.type == "cuda")
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters:,} parameters on {device}", flush=True)
    begin, seen = None, 0
    for step in range(1_000_000):
        batch = next(stream)
        begin = begin or time.monotonic()  # the first shard's making is not counted
        progress = max(step / arguments.steps, (time.monotonic() - begin) / 60 / arguments.max_minutes)
        if progress >= 1:
            break
        rate = PEAK_LR * min(1, (step + 1) / WARMUP, (1 - progress) / 0.6 + 0.002)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = loss_of(model, batch, device)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seen += batch.ids.size
        if step % arguments.log_every == 0:
            took = time.monotonic() - begin
            print(f"step {step} loss {loss.item():.4f} lr {rate:.5f} {seen / 1e6:.0f} M tokens {took:.0f} s", flush=True)
        if arguments.save_every and step and step % arguments.save_every == 0:
            save(model, arguments.out)
    print(f"trained {step} steps, {seen / 1e6:.0f} M tokens, {time.monotonic() - (begin or 0):.0f} s", flush=True)
    save(model, arguments.out)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--max-minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch-tokens", type=int, default=65536)
    parser.add_argument("--log-every", type=int, default=100)
    parser.add_argument("--save-every", type=int, default=0, help="also write the GGUF every so many steps")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--shard-tokens", type=int, default=1 << 20)
    parser.add_argument("--workers", type=int, default=12)
    arguments = parser.parse_args()
    stream = data.batches(arguments.seed * 1_000_000 + 1, arguments.shard_tokens, arguments.batch_tokens, arguments.workers)
    train(Config(), stream, arguments, write_gguf)


if __name__ == "__main__":
    main()
