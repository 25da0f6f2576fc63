"""Refuses requests that do not come from the page itself.

The first part of every path is the token, a random word that only the printed address has. Beyond it:

- **Another origin.** A page of another site that knew the address could not use it: its ``Origin`` and
  ``Sec-Fetch-Site`` are refused, answers may not be embedded elsewhere, and nothing allows reading them across origins.
- **DNS rebinding.** A name of another site that leads to this machine is refused by the ``Host`` header.
- **Large requests.** An event has some hundred bytes. A request that announces more than 64 KiB, or does not announce
  its size, is refused before its body is read, and the connection is closed.
- **The page's own requests** go nowhere else: the policy allows this server and nothing inline.
"""

from __future__ import annotations

import ipaddress
import secrets
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 64 << 10
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-cache",
}
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
_USUAL_PORT = 80
_ANY_ADDRESS = ("0.0.0.0", "::")


class Guard:
    """ASGI middleware that passes on what the page itself requests, without the token in its path.

    Args:
        app: The application behind it.
        token: The first part of every path.
        host: The address on which the server listens; where it is that of all interfaces, requests may name any
            IP address.
        port: The port on which the server listens.
    """

    def __init__(self, app: ASGIApp, *, token: str, host: str, port: int) -> None:
        self._app, self._token = app, token.encode()
        names = {*_LOOPBACK_NAMES, f"[{host}]" if ":" in host else host.lower()}
        # Browsers leave out the usual port.
        self._hosts = frozenset(f"{name}:{port}" for name in names) | (names if port == _USUAL_PORT else set())
        self._port = port
        self._is_open = host in _ANY_ADDRESS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        status, reason = self._refusal(scope)
        if status is not None:
            # Closing the connection leaves the body of the request unread.
            response = PlainTextResponse(f"{reason}\n", status, headers={"connection": "close"})
            await response(scope, receive, send_with_headers)
            return
        path = scope["path"].removeprefix(f"/{self._token.decode()}")
        if not path:  # the page's own addresses are relative to the slash at the end
            await RedirectResponse(f"{scope['path']}/")(scope, receive, send_with_headers)
            return
        inner = {**scope, "path": path, "raw_path": path.encode(), "root_path": ""}
        await self._app(inner, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> tuple[HTTPStatus | None, str]:
        """Return why a request is refused; None where it is not."""
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_own_host(hosts[0].lower()):
            return HTTPStatus.MISDIRECTED_REQUEST, "This is not the host that the address of the page has."
        own_origin = f"http://{hosts[0].lower()}"
        if any(origin.lower() != own_origin for origin in headers.getlist("origin")):
            return HTTPStatus.FORBIDDEN, "Requests of other sites are not answered."
        is_visit = scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not is_visit:
            return HTTPStatus.FORBIDDEN, "Requests of other sites are not answered."
        word = scope["path"].lstrip("/").partition("/")[0].encode("utf-8", "surrogateescape")
        if not secrets.compare_digest(word, self._token):
            return HTTPStatus.NOT_FOUND, "The address lacks its token: use the one that `ava-detect` printed."
        return self._refusal_of_body(scope["method"], headers)

    def _refusal_of_body(self, method: str, headers: Headers) -> tuple[HTTPStatus | None, str]:
        length = headers.get("content-length")
        if method in ("GET", "HEAD"):
            if "transfer-encoding" in headers or length not in (None, "0"):
                return HTTPStatus.BAD_REQUEST, "Such a request has no body."
            return None, ""
        if method != "POST":
            return HTTPStatus.METHOD_NOT_ALLOWED, "GET, HEAD and POST are answered."
        if headers.get("origin") is None:
            return HTTPStatus.FORBIDDEN, "A change comes from the page itself, whose requests have an Origin."
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Events are JSON (Content-Type: application/json)."
        if length is None or not length.isdecimal() or "transfer-encoding" in headers:
            return HTTPStatus.LENGTH_REQUIRED, "The size of the request has to be announced (Content-Length)."
        if len(length) > 18 or int(length) > MAX_BODY_BYTES:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A request has at most {MAX_BODY_BYTES:,} bytes."
        return None, ""

    def _is_own_host(self, host: str) -> bool:
        if host in self._hosts:
            return True
        if not self._is_open:
            return False
        name, _, port = host.rpartition(":")
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return port == str(self._port)


def new_token() -> str:
    """Return a random word of 256 bits for the address."""
    return secrets.token_urlsafe(32)
