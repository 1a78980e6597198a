"""What stands before every page and every call: whose name, whose page, whose key; and headers that lock pages up.

A page of another site that a person has open can send requests to this server, with the person's cookie. It can give
its own name an address of this machine, too (DNS rebinding). So a server that listens on this machine only answers to
this machine's names only, and nothing is changed for a page of another origin.
"""

import hashlib
import hmac
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dfgame.serve.problems import RequestError

COOKIE = "dfgame"
OPEN = ("/enter", "/static/")
"""Paths that need no key."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src data: 'self'; style-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
REPORT_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'; sandbox",
    "Referrer-Policy": "no-referrer",
}
"""Of a report, which needs no script, no form and nothing of this server."""
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With no-referrer, browsers would not tell us that a form comes from our own page.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""On every answer, unless it says otherwise."""


class Keys:
    """The API key, and the cookie that stands for it in a browser. Without a key, everybody is let in."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    @property
    def needed(self) -> bool:
        """Whether there is a key at all."""
        return bool(self._key)

    @property
    def cookie(self) -> str:
        """The cookie's value, from which the key cannot be told."""
        return hmac.new(self._key, b"dfgame page", hashlib.sha256).hexdigest()

    def fits(self, key: str) -> bool:
        """Whether this is the key; it takes equally long whatever is wrong with it."""
        return hmac.compare_digest(self._key, key.encode())

    def admits(self, headers: Headers) -> bool:
        """Whether a request shows the key, or the cookie."""
        if not self.needed:
            return True
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.fits(token.strip())
        return hmac.compare_digest(self.cookie.encode(), _cookie(headers).encode())


Refuse = Callable[[Request, RequestError], Response]
"""Makes the answer to a request with a problem."""


class Guard:
    """ASGI middleware that refuses what `check` refuses, and puts headers on every answer."""

    def __init__(self, app: ASGIApp, keys: Keys, names: frozenset[str], refuse: Refuse) -> None:
        """`names` are the hosts that it answers to; without any, to all."""
        self._app, self._keys, self._names, self._refuse = app, keys, names, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_locked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self.check(scope)
        except RequestError as problem:
            answer = self._refuse(Request(scope), problem)
            await answer(scope, receive, send_locked)
            return
        await self._app(scope, receive, send_locked)

    def check(self, scope: Scope) -> None:
        """Let a request pass.

        Raises:
            RequestError: it does not pass.
        """
        headers = Headers(scope=scope)
        if self._names and _host(headers.get("host", "")) not in self._names:
            raise RequestError(400, "This server answers to the names of its own machine only, such as localhost.")
        if scope["method"] not in _SAFE and not _own(headers):
            raise RequestError(403, "This was sent by a page of another site.")
        if not scope["path"].startswith(OPEN) and not self._keys.admits(headers):
            raise RequestError(401, "The API key is missing or wrong.")


def _own(headers: Headers) -> bool:
    """Whether a request comes from a page of this server, or from no page."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    try:
        return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    except ValueError:
        return False


def _host(value: str) -> str:
    """A host's name without its port."""
    try:
        return urlsplit(f"//{value}").hostname or ""
    except ValueError:
        return ""


def _cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""
