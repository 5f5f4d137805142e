"""What the documentation's site has besides docs/*.md, as MkDocs's hooks: the table of HTTP operations, which the engine's own
description gives (fanlight/api/openapi.py), the package's TypeScript declarations, as `make web` has made them, the README's
table of what runs, and what the catalogue's models take."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TYPES = ROOT / "web" / "dist" / "types"
OUTSIDE = re.compile(r"\[([^\]]*)\]\((?:\.\./)+([^)#]*)[^)]*\)")  # to a file that the site does not have
EXPORT = re.compile(r'^export (?:type )?\{(?P<names>[^}]*)\} from "\./(?P<file>[\w-]+)\.js";', re.M)


def http_table() -> str:
    from fanlight.api.openapi import document

    rows = []
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            fields = ", ".join(f"`{name}`" for name in body.get("properties", {}))
            rows.append(f"| `{method.upper()} {path}` | {operation.get('summary', '')} | {fields} |")
    return "\n".join(["| operation | what it does | fields |", "|---|---|---|", *rows])


def declarations() -> str:
    """Each module of the package that its index names, as TypeScript declares it."""
    index = TYPES / "index.d.ts"
    if not index.is_file():
        return "The declarations are not built: `make web`."
    files = dict.fromkeys(match["file"] for match in EXPORT.finditer(index.read_text()))
    blocks = [f"## {name}\n\n```ts\n{(TYPES / f'{name}.d.ts').read_text().strip()}\n```" for name in files]
    return "\n\n".join(blocks)


def what_it_runs() -> str:
    """The README's table, with links from here."""
    _, after = (ROOT / "README.md").read_text().split("## What it runs\n", 1)
    return after.split("\n\n", 1)[0].replace("](docs/", "](")


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
        "<!-- declarations -->": declarations,
        "<!-- what it runs -->": what_it_runs,
        "<!-- memory -->": memory_table,
    }
    for mark, make in parts.items():
        if mark in markdown:
            markdown = markdown.replace(mark, make())
    return OUTSIDE.sub(lambda link: f"`{link[2]}`" if Path(link[2]).name in link[1] else f"{link[1]} (`{link[2]}`)", markdown)
