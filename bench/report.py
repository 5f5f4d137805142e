"""Rows as a Markdown table, and plots: `python -m bench report FILE.jsonl ... [--plots FOLDER]` (plots need matplotlib)."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]
# heading, the row's field, how it is written
COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("engine", "engine", ""),
    ("model", "model", ""),
    ("prompt", "prompt", "d"),
    ("context", "context", "d"),
    ("features", "features", ""),
    ("decode tok/s", "decode_tps", ",.1f"),
    ("prefill tok/s", "prefill_tps", ",.0f"),
    ("TTFT ms", "ttft_ms", ",.1f"),
    ("load + first token s: cold", "first_token_cold_ms", "s"),
    ("stored", "first_token_warm_ms", "s"),
    ("GPU MiB", "gpu_mib", ",.0f"),
    ("host MiB", "host_mib", ",.0f"),
    ("dispatches/token", "dispatches_per_token", ",.0f"),
    ("submits/token", "submits_per_token", ",.1f"),
    ("of stream read", "stream_share", ".1%"),
)
PLOTS = (("decode_tps", "decode, tokens/s"), ("prefill_tps", "prefill, tokens/s"), ("ttft_ms", "time to first token, ms"))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench report", description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--plots", type=Path, help="folder for PNG files")
    options = parser.parse_args(arguments)
    rows = [json.loads(line) for file in options.files for line in file.read_text().splitlines() if line.strip()]
    print(table(rows))
    if options.plots:
        plot(rows, options.plots)
    return 0


def table(rows: Sequence[Row], known: Sequence[tuple[str, str, str]] = COLUMNS) -> str:
    """Only columns in which some row has a value."""
    columns = [c for c in known if any(row.get(c[1]) is not None for row in rows)]
    lines = ["| " + " | ".join(heading for heading, _, _ in columns) + " |"]
    lines.append("|" + "|".join("---" if not kind else "---:" for _, _, kind in columns) + "|")
    for row in rows:
        cells = [cell(row.get(name), kind) for _, name, kind in columns]
        lines.append("| " + " | ".join(cells) + " |" + (f" {one_line(row['error'])}" if "error" in row else ""))
    return "\n".join(lines)


def cell(value: Any, kind: str) -> str:
    if value is None:
        return ""
    return f"{value / 1000:.2f}" if kind == "s" else f"{value:{kind}}"


def one_line(text: str) -> str:
    return " ".join(str(text).split())[:200]


def plot(rows: Sequence[Row], folder: Path) -> None:
    """A figure for each measure: groups by model, prompt and context, a bar for each engine."""
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    good = [row for row in rows if "error" not in row]
    groups = list(dict.fromkeys(group_of(row) for row in good))
    engines = list(dict.fromkeys(engine_of(row) for row in good))
    for name, title in PLOTS:
        figure, axes = pyplot.subplots(figsize=(max(6, 1.6 * len(groups)), 4))
        for i, engine in enumerate(engines):
            of_engine = {group_of(row): row.get(name) or 0 for row in good if engine_of(row) == engine}
            places = [g + (i - (len(engines) - 1) / 2) * 0.8 / len(engines) for g in range(len(groups))]
            axes.bar(places, [of_engine.get(group, 0) for group in groups], 0.8 / len(engines), label=engine)
        axes.set_xticks(range(len(groups)), groups, fontsize=7)
        axes.set_title(title)
        axes.legend(fontsize=7)
        figure.tight_layout()
        figure.savefig(folder / f"{name}.png", dpi=150)
        pyplot.close(figure)


def group_of(row: Row) -> str:
    return f"{row['model']}\nprompt {row['prompt']}\ncontext {row['context']}"


def engine_of(row: Row) -> str:
    return row["engine"] if row["features"] == "all" else f"{row['engine']}, {row['features']}"
