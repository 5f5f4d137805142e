"""What the documentation's site has besides docs/*.md, as MkDocs's hooks: the table of HTTP operations, which the engine's own
description gives (fanlight/api/openapi.py), the JavaScript reference, which TypeDoc makes of the package's declarations, the
README's table of what runs, and what the catalogue's models take."""

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TYPES = ROOT / "web" / "dist" / "types"
OUTSIDE = re.compile(r"\[([^\]]*)\]\((?:\.\./)+([^)#]*)[^)]*\)")  # to a file that the site does not have
TYPEDOC = ROOT / "scripts" / "typedoc"
ENTRIES = {
    "fanlight": "index",
    "fanlight/service-worker": "service-worker",
    "fanlight/prompt-api": "prompt-api",
    "fanlight/replay": "replay-entry",
}  # and the files that TypeDoc makes of them


def http_table() -> str:
    from fanlight.api.openapi import document

    rows = []
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            fields = ", ".join(f"`{name}`" for name in body.get("properties", {}))
            rows.append(f"| `{method.upper()} {path}` | {operation.get('summary', '')} | {fields} |")
    return "\n".join(["| operation | what it does | fields |", "|---|---|---|", *rows])


def javascript_reference(modules: Path = TYPEDOC / "node_modules") -> str:
    """Everything that the package exports, by entry, as TypeDoc writes it. modules: where TypeDoc is installed."""
    if not (modules / "typedoc").is_dir() or not (TYPES / "index.d.ts").is_file():
        return "The reference is made by `make docs`."
    with tempfile.TemporaryDirectory() as folder:
        plugin = modules / "typedoc-plugin-markdown" / "dist" / "index.js"
        command = ["node", modules / "typedoc" / "bin" / "typedoc", "--plugin", plugin, "--out", folder]
        done = subprocess.run(list(map(str, command)), cwd=TYPEDOC, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"typedoc ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
        return "\n\n".join(_entry(Path(folder) / f"{file}.md", name) for name, file in ENTRIES.items())


def _entry(page: Path, name: str) -> str:
    """A file of TypeDoc's as a chapter: its headings one level lower, the first one the entry's name, links within the page."""
    text = re.sub(r"\]\([\w-]+\.md#", "](#", page.read_text().split("\n", 1)[1])
    return f'## import "{name}"\n' + re.sub(r"^#+(?= )", lambda marks: f"#{marks[0]}"[:6], text, flags=re.M)


def what_it_runs() -> str:
    """The README's tables, with links from here."""
    _, after = (ROOT / "README.md").read_text().split("## What it runs\n", 1)
    tables = after.split("\n\nWhat a file says", 1)[0]
    return re.sub(r"<!--.*-->\n", "", tables).replace("](docs/", "](")


def memory_table() -> str:
    from fanlight.formats.catalogue import catalogue

    rows = []
    for model in catalogue():
        took = model.footprint()
        sizes = [f"{count / 1e9:.2f}" for count in (took.file, took.weights, took.kv, took.total)] if took else ["?"] * 4
        cells = (f"`{model.id}`", model.quantization, *sizes, f"{model.context_length:,}", model.license)
        rows.append(f"| {' | '.join(cells)} |")
    head = "| model | weights as | download, GB | weights, GB | KV, GB | all on the GPU, GB | trained for, tokens | licence |"
    return "\n".join([head, "|---|---|---:|---:|---:|---:|---:|---|", *rows])


def on_page_markdown(markdown: str, **_: Any) -> str:
    parts = {
        "<!-- http -->": http_table,
        "<!-- typescript -->": javascript_reference,
        "<!-- what it runs -->": what_it_runs,
        "<!-- memory -->": memory_table,
    }
    for mark, make in parts.items():
        if mark in markdown:
            markdown = markdown.replace(mark, make())
    return OUTSIDE.sub(lambda link: f"`{link[2]}`" if Path(link[2]).name in link[1] else f"{link[1]} (`{link[2]}`)", markdown)
