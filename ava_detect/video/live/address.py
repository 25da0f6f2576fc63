"""Addresses of streams: which are refused before anything is opened, and their text without passwords."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from ava_detect.errors import ConfigError, shown, suggestion

SCHEMES = ("rtsp", "rtsps", "http", "https", "udp", "srt", "rtp", "tcp", "rtmp", "rtmps")
SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
# Those that may listen instead of call, at an address without a host.
_MAY_LISTEN = ("udp", "rtp", "srt", "tcp")
# What stands before a host, also in an address whose beginning is misspelt.
_USER_INFO = re.compile(r"^.*:.*@", re.DOTALL)


def host_of(url: str, scheme: str) -> str:
    """Return the host of a stream's address.

    Args:
        url: The address.
        scheme: Its scheme, in small letters.

    Returns:
        The host; empty where there is none, or where it may be a part of a password.

    Raises:
        ConfigError: No stream can have this address.
    """
    if scheme not in SCHEMES:
        raise ConfigError(
            f"an address of the scheme {shown(scheme)}:// is no live source{suggestion(scheme, SCHEMES)}; known are "
            f"{', '.join(SCHEMES)}"
        )
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        # Python's reason may quote the password.
        raise ConfigError(
            f"an address of the scheme {scheme}:// is malformed; give {scheme}://HOST:PORT/PATH, or USER:PASSWORD@ "
            "before the host, and write /, ?, # and @ in them as %2F, %3F, %23 and %40"
        ) from None
    if not host and scheme not in _MAY_LISTEN:
        raise ConfigError(f"an address of the scheme {scheme}:// has no host; give {scheme}://HOST:PORT/PATH")
    return "" if _is_doubtful(url, parts) else host


def address_without_secrets(url: str) -> str:
    """Keep the scheme, the host, the port, and a path that holds no settings such as ``user=admin&password=1``.

    Args:
        url: The address of a stream.

    Returns:
        Its text for messages.
    """
    parts = urlsplit(url)
    if _is_doubtful(url, parts):
        return f"{parts.scheme}://..."
    host = parts.netloc.rpartition("@")[2]
    if "@" in parts.path or "=" in parts.path:
        return f"{parts.scheme}://{host}/..."
    return f"{parts.scheme}://{host}{parts.path}" + ("?..." if parts.query else "")


def path_without_secrets(text: str) -> str:
    """Return the text of a path that does not exist, which may be an address without its beginning.

    Args:
        text: The path.

    Returns:
        It, with ``...`` in the place of a user and a password.
    """
    return _USER_INFO.sub("...@", text)


def _is_doubtful(url: str, parts: SplitResult) -> bool:
    """Whether ``/``, ``?`` or ``#`` may stand in a password, so that what looks like the host is the user."""
    behind = SCHEME.sub("", url, count=1)[len(parts.netloc) :]
    return "@" in behind and "@" not in parts.netloc and ":" in parts.netloc
