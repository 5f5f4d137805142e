"""The chat page as a web server must give it, with the policies that keep it to itself.  Native only; knows no model."""

import os
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

ASSETS = Path(__file__).parents[1] / "assets"
MIME_TYPES = {".mjs": "text/javascript", ".js": "text/javascript", ".gz": "application/gzip"}
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # The page may fetch a model from wherever its user says; scripts are ours alone, and WebAssembly.
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self' http: https:; "
        "img-src 'self' data: blob:; media-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}
NO_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Fanlight</title>
<h1>The chat page is not built</h1>
<p>The API is here: <code>/v1/chat/completions</code>, <code>/v1/completions</code>, <code>/v1/models</code>.</p>
<p>To have the page, run <code>make demo</code> in the repository, or <code>npm ci &amp;&amp; npm run build</code> in its
<code>web/</code> folder; the wheel from the package index has it built in.</p></html>"""


BUILT_IN, BUILT_IN_PATH = "fanlight/built-in.gguf", ASSETS.parent / "builtin" / "model.gguf"  # which a wheel carries once


class Page(StaticFiles):
    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        full_path, found = super().lookup_path(path)
        if found is None and Path(path).as_posix() == BUILT_IN:
            return str(BUILT_IN_PATH), os.stat(BUILT_IN_PATH)
        return full_path, found

    def file_response(self, full_path: Any, stat_result: Any, scope: Scope, status_code: int = 200) -> Response:
        """The file, or what is in it, as the build has compressed it (web/encode.mjs): a third less on the way."""
        small = Path(f"{full_path}.br")
        has_small = small.is_file()
        is_small = has_small and "br" in encodings(scope)
        path, stat = (small, small.stat()) if is_small else (full_path, stat_result)
        response = super().file_response(path, stat, scope, status_code)
        if is_small:
            response.headers["content-encoding"] = "br"
        if has_small:
            response.headers["vary"] = "Accept-Encoding"
        if (kind := MIME_TYPES.get(Path(full_path).suffix)) is not None:
            response.headers["content-type"] = kind
        return response


def encodings(scope: Scope) -> set[str]:
    """That the client takes."""
    accepted = Headers(scope=scope).get("accept-encoding", "")
    return {name.split(";")[0].strip() for name in accepted.split(",") if not name.replace(" ", "").endswith(";q=0")}


def is_of_page(assets: Path, path: str) -> bool:
    """Whether the URL path is the page's or a file's of it."""
    names = path.strip("/").split("/")
    try:
        is_file = ".." not in names and assets.joinpath(*names).is_file()
        return path == "/" or is_file or (path == f"/{BUILT_IN}" and (assets / "index.html").is_file())
    except OSError:  # no file has such a name: it is too long
        return False


def page(assets: Path) -> ASGIApp:
    if (assets / "index.html").is_file():
        return Page(directory=assets, html=True)

    async def no_page(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] not in ("/", "/index.html"):
            raise HTTPException(404)
        await HTMLResponse(NO_PAGE)(scope, receive, send)

    return no_page
