"""Events to a webhook: a POST of JSON for each."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ava_detect.errors import ConfigError
from ava_detect.live.delivery import RefusedError, Send

_TIMEOUT_SECONDS = 10.0
# Client errors after which the same request may succeed: a timeout, a conflict, too early, too many requests.
_PASSING = frozenset({408, 409, 425, 429})


class _NoRedirects(HTTPRedirectHandler):
    """A redirected POST would become a GET, and could lead anywhere."""

    def redirect_request(self, *arguments: Any) -> None:
        return None


def check_webhook(url: str) -> None:
    """Refuse an address that is no webhook.

    Args:
        url: The address, perhaps with a user and a password.

    Raises:
        ConfigError: It is not ``http://`` or ``https://`` with a host.
    """
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or any(character.isspace() for character in url):
        raise ConfigError("`webhook` is an address such as https://example.org/hook")


def webhook_sender(url: str) -> Send:
    """Return a function that sends one message.

    Args:
        url: The address, perhaps with a user and a password, which go into the header ``Authorization``.

    Returns:
        The function; it raises ``RefusedError`` for answers of 3xx and 4xx that are not passing.

    Raises:
        ConfigError: It is no address of a webhook.
    """
    check_webhook(url)
    parts = urlsplit(url)
    headers = {"Content-Type": "application/json", "User-Agent": "ava-detect"}
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
    address = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path or "/", parts.query, ""))
    opener = build_opener(_NoRedirects)

    def send(message: dict[str, Any]) -> None:
        body = json.dumps(message, ensure_ascii=False).encode()
        request = Request(address, body, headers, method="POST")
        try:
            with opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
                answer.read(1024)
        except HTTPError as error:
            error.close()
            if 300 <= error.code < 500 and error.code not in _PASSING:
                raise RefusedError(f"HTTP {error.code}") from None
            raise

    return send
