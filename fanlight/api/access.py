"""Who may ask the server: the names it answers to, the pages that may reach it, the key.

A browser runs the scripts of every page that is open, and they can reach servers on this machine. Two ways are shut: a page
asks another site's server (the browser says whose page it is: Origin, Sec-Fetch-Site), or its own name is made to point here
(DNS rebinding: the browser believes that it asks the page's own server, and only Host gives it away). Knows no request body.
"""

import hmac
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:/?#@\[\]]+)(?::\d{0,5})?")
ANY = "*"


@dataclass(frozen=True, slots=True)
class Access:
    """`hosts`: names that Host may have besides localhost and any address; None: also whatever has no dot, which is no page of
    the internet. `origins`: other sites whose pages may ask, as `https://example.org`. Without `keys` everybody may."""

    keys: tuple[str, ...] = ()
    hosts: tuple[str, ...] | None = None
    origins: tuple[str, ...] = ()

    def check_host(self, host: str) -> None:
        found = HOST.fullmatch(host.lower())
        name = found[1].strip("[]").rstrip(".") if found else ""
        if not name:
            raise HTTPException(400, f"the Host header {host[:80]!r} is no name")
        if not self._answers_to(name):
            raise HTTPException(
                403, f"this server does not answer to the name {name[:80]!r}; --allow-host {name[:80]} allows it"
            )

    def _answers_to(self, name: str) -> bool:
        if self.hosts is None and "." not in name:
            return True
        named = {host.lower().strip("[]").rstrip(".") for host in self.hosts or ()}
        return name == "localhost" or name.endswith(".localhost") or bool(named & {name, ANY}) or _is_address(name)

    def check_page(self, method: str, headers: Headers) -> None:
        """Refuses what another site's page asks. Opening an address, as by a link, is no question of a page."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if ANY in self.origins:
            return
        if origin is not None:
            if origin not in self.origins and urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
                raise HTTPException(
                    403, f"pages of {origin[:80]!r} may not ask this server; --allow-origin {origin[:80]} allows it"
                )
        elif site not in ("none", "same-origin"):
            is_opened = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
            if not is_opened or headers.get("sec-fetch-dest", "document") != "document":
                raise HTTPException(403, "pages of other sites may not ask this server; --allow-origin allows a site")

    def check_key(self, headers: Headers) -> None:
        kind, _, given = headers.get("authorization", "").partition(" ")
        # All are compared, each in constant time: how long it takes tells nothing.
        fits = [hmac.compare_digest(given.strip().encode(), key.encode()) for key in self.keys]
        if self.keys and not (kind.lower() == "bearer" and any(fits)):
            message = "the API key is wrong" if given else "this server wants its API key: Authorization: Bearer KEY"
            raise HTTPException(401, message, {"WWW-Authenticate": "Bearer"})


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_local(scope: Scope, headers: Headers) -> bool:
    """Asked from this machine, and not through a proxy on it."""
    address = (scope.get("client") or [""])[0]
    return _is_address(address) and ipaddress.ip_address(address).is_loopback and "x-forwarded-for" not in headers


class Guard:
    """`needs_key`: whether a path does, for who asks from this machine or not."""

    def __init__(self, app: ASGIApp, access: Access, needs_key: Callable[[str, bool], bool]) -> None:
        self._app, self._access, self._needs_key = app, access, needs_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            if (host := headers.get("host")) is not None:  # without one, as HTTP/1.0 allows, it is no browser
                self._access.check_host(host)
            self._access.check_page(scope["method"], headers)
            if self._needs_key(scope["path"], is_local(scope, headers)):
                self._access.check_key(headers)
        await self._app(scope, receive, send)
