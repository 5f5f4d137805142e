"""A local stand-in of the Hugging Face Hub's calls: lists of files in pages, commits, search, `resolve` with a redirect to a
server of another origin that gives the bytes by range, gated and private repositories, CORS as the hub has it.  Both the page
and huggingface_hub ask it."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.web.browser import Server

TOKEN = "hf_secret"
EXPOSED = (
    "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,ETag,Link,Accept-Ranges,Content-Range,X-Linked-Size,X-Linked-ETag"
)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass
class Repo:
    files: dict[str, bytes]
    gated: bool = False  # listed for all, given to whoever has the token
    private: bool = False
    downloads: int = 0
    tags: tuple[str, ...] = ("gguf", "license:apache-2.0")
    revisions: dict[str, dict[str, bytes]] = field(default_factory=dict)  # other branches

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit and its files."""
        named = {"main": self.files, **self.revisions}
        commits = {self.commit(files): files for files in named.values()}
        files = named.get(revision, commits.get(revision))
        return None if files is None else (self.commit(files), files)

    @staticmethod
    def commit(files: Mapping[str, bytes]) -> str:
        return hashlib.sha1(repr(sorted((path, sha256(data)) for path, data in files.items())).encode()).hexdigest()


def is_large(path: str) -> bool:
    """Kept beside git (LFS), so listed with a SHA-256."""
    return path.endswith((".gguf", ".safetensors"))


@dataclass
class Hub:
    """Repositories by their names; what was asked; `given` overrides the bytes that are given for a SHA-256."""

    repos: dict[str, Repo] = field(default_factory=dict)
    page_size: int = 1000
    requests: list[tuple[str, str, str | None]] = field(
        default_factory=list
    )  # server ("hub" or "cdn"), path and query, Authorization
    given: dict[str, bytes] = field(default_factory=dict)
    url: str = ""
    cdn: str = ""

    def asked(self, server: str) -> list[str]:
        return [path for name, path, _ in self.requests if name == server]

    def blob(self, digest: str) -> bytes | None:
        files = [files for repo in self.repos.values() for files in (repo.files, *repo.revisions.values())]
        found = next((data for paths in files for data in paths.values() if sha256(data) == digest), None)
        return self.given.get(digest, found)


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *args: object) -> None:
        pass

    def do_OPTIONS(self) -> None:
        self.answer(
            204, b"", {"Access-Control-Allow-Headers": "authorization,range", "Access-Control-Allow-Methods": "GET,HEAD"}
        )

    def do_HEAD(self) -> None:
        self.do_GET()

    def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None, size: int | None = None) -> None:
        self.send_response(status)
        shared = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": EXPOSED}
        length = {} if status == 204 else {"Content-Length": str(len(body) if size is None else size)}
        for name, value in {**shared, **length, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def give(self, data: bytes, headers: Mapping[str, str]) -> None:
        """Bytes, by range where one is asked for."""
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not asked:
            return self.answer(200, data, {"Accept-Ranges": "bytes", **headers})
        start, end = int(asked[1]), min(int(asked[2] or len(data)) + 1, len(data))
        if start >= len(data):
            return self.answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
        self.answer(206, data[start:end], {"Content-Range": f"bytes {start}-{end - 1}/{len(data)}", **headers})


class HubHandler(Answering):
    def do_GET(self) -> None:
        authorization = self.headers.get("Authorization")
        self.hub.requests.append(("hub", self.path, authorization))
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/api/models":
            return self.json(self.found(query))
        info = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?", url.path)
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", url.path)
        if not info and not file:
            return self.refuse(404, "EntryNotFound")
        match = info or file
        repo = self.hub.repos.get(match[1])
        signed_in = authorization == f"Bearer {TOKEN}"
        if repo is None or (repo.private and not signed_in):
            return self.refuse(404 if signed_in else 401, "RepoNotFound")
        at = repo.at(unquote((info[3] if info else file[2]) or "main"))
        if at is None:
            return self.refuse(404, "RevisionNotFound")
        if info:
            return self.tree(*at, query) if info[2] == "tree" else self.json(self.info(info[1], repo, *at))
        if repo.gated and not signed_in:
            return self.refuse(403 if authorization else 401, "GatedRepo")
        self.file(*at, unquote(file[3]))

    def json(self, value: Any, headers: Mapping[str, str] | None = None) -> None:
        self.answer(200, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})

    def refuse(self, status: int, code: str) -> None:
        self.answer(status, json.dumps({"error": code}).encode(), {"X-Error-Code": code, "Content-Type": "application/json"})

    def info(self, name: str, repo: Repo, sha: str, files: Mapping[str, bytes]) -> dict[str, Any]:
        siblings = [{"rfilename": path} for path in sorted(files)]
        return {
            **{"_id": "1", "id": name, "modelId": name, "sha": sha, "private": repo.private, "tags": list(repo.tags)},
            **{"downloads": repo.downloads, "likes": 0, "lastModified": "2026-01-01T00:00:00.000Z", "siblings": siblings},
            **{"gated": "manual" if repo.gated else False},
        }

    def found(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        words, wanted = query.get("search", "").lower(), query.get("filter")
        named = [(name, repo) for name, repo in self.hub.repos.items() if words in name.lower() and not repo.private]
        named = [(name, repo) for name, repo in named if wanted is None or wanted in repo.tags]
        if query.get("sort") == "downloads":
            named.sort(key=lambda pair: -pair[1].downloads)
        return [self.info(name, repo, *repo.at("main")) for name, repo in named[: int(query.get("limit", 1000))]]

    def tree(self, sha: str, files: Mapping[str, bytes], query: Mapping[str, str]) -> None:
        assert query.get("recursive", "").lower() == "true"
        folders = sorted({path[: path.rindex("/")] for path in files if "/" in path})
        entries: list[dict[str, Any]] = [{"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in folders]
        for path, data in sorted(files.items()):
            pointer = {"oid": sha256(data), "size": len(data), "pointerSize": 134}
            lfs = {"lfs": pointer} if is_large(path) else {}
            entries.append({"type": "file", "path": path, "oid": git_oid(data), "size": len(data), **lfs})
        start = int(query.get("cursor", 0))
        end = start + self.hub.page_size
        path = urlsplit(self.path).path
        link = {"Link": f'<{self.hub.url}{path}?recursive=true&cursor={end}>; rel="next"'} if end < len(entries) else {}
        self.json(entries[start:end], link)

    def file(self, sha: str, files: Mapping[str, bytes], path: str) -> None:
        data = files.get(path)
        if data is None:
            return self.refuse(404, "EntryNotFound")
        commit = {"X-Repo-Commit": sha}
        if not is_large(path):
            return self.give(data, {**commit, "ETag": f'"{git_oid(data)}"'})
        linked = {"X-Linked-Size": str(len(data)), "X-Linked-ETag": f'"{sha256(data)}"'}
        self.answer(302, b"", {**commit, **linked, "Location": f"{self.hub.cdn}/{sha256(data)}?name={quote(path)}"})


class CdnHandler(Answering):
    def do_GET(self) -> None:
        self.hub.requests.append(("cdn", self.path, self.headers.get("Authorization")))
        digest = urlsplit(self.path).path[1:]
        data = self.hub.blob(digest)
        if data is None:
            return self.answer(403, b"")  # as a signed address that has expired
        self.give(data, {"ETag": f'"{digest}"'})


@contextmanager
def serve_hub(hub: Hub) -> Iterator[Hub]:
    servers = [Server(("127.0.0.1", 0), type("Handler", (kind,), {"hub": hub})) for kind in (HubHandler, CdnHandler)]
    hub.url, hub.cdn = (f"http://127.0.0.1:{server.server_address[1]}" for server in servers)
    threads = [threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield hub
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()
