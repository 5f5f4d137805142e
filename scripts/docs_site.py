"""What the documentation's site has besides docs/*.md, as MkDocs's hooks: the table of HTTP operations, which the engine's own
description gives (fanlight/api/openapi.py), and the package's TypeScript declarations, as `make web` has made them."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TYPES = ROOT / "web" / "dist" / "types"
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


def on_page_markdown(markdown: str, **_: Any) -> str:
    parts = {"<!-- http -->": http_table, "<!-- declarations -->": declarations}
    for mark, make in parts.items():
        if mark in markdown:
            markdown = markdown.replace(mark, make())
    return markdown
