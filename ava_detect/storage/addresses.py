"""Addresses of files on other machines: ``s3://``, ``gs://``, ``hf://``, ``https://``, whatever fsspec can open.

Keys and endpoints are found by each store's own client library (environment, profiles, fsspec's config files), never by
a setting of this package. The text of an ``Address`` omits user names, passwords and signatures; ``without_secrets``
removes them from the messages of other libraries.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from ava_detect.environment import pip_line
from ava_detect.errors import ConfigError, MissingDependencyError, shown

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
# The bounds keep the search linear in texts of any length and content.
_USER_INFO = re.compile(r"([a-z][a-z0-9+.-]{0,31}://)[^\s/@'\"]{0,1024}@", re.IGNORECASE)
# Only in web addresses do "?" and "#" end the path; in other stores they are part of a file's name.
_WEB_QUERY = re.compile(r"(https?://[^\s?#'\"]{0,4096})[?#]([^\s'\"]*)", re.IGNORECASE)
# Query parameters of signed addresses: they change with every signature and do not identify the file.
_SIGNATURES = re.compile(
    r"x-(amz|goog|ms)-.*|signature|expires|key-pair-id|policy|awsaccesskeyid|googleaccessid|sig|s[eprtv]|spr"
    r"|sk(oid|tid|t|e|s|v)|(access_?|auth_?)?token|(api_?)?key|password",
    re.IGNORECASE,
)
_SECRET_NAMES = re.compile(
    r"secret|token|passw|credential|(access|account|api|private)_?key|^key$|_key$", re.IGNORECASE
)
# Shorter values are not treated as secrets: they would also be cut out of ordinary words.
_MIN_SECRET_LENGTH = 8
_PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "hf": "huggingface_hub",
    "http": "aiohttp",
    "https": "aiohttp",
}


def is_address(text: object) -> bool:
    """Tell an address from a path of this machine.

    Args:
        text: An ``Address``, a string or anything else, such as a ``Path``.

    Returns:
        True for an ``Address`` and for a string that begins with ``scheme://``.
    """
    return isinstance(text, Address) or (isinstance(text, str) and _SCHEME.match(text) is not None)


@dataclass(frozen=True)
class Address:
    """The address of one file or folder, ``scheme://...``.

    Attributes:
        url: The address as given, secrets included; not for messages. ``str()`` gives the form without secrets.
    """

    url: str = field(repr=False)

    def __str__(self) -> str:
        return without_secrets(self.url)

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"

    @property
    def _is_web(self) -> bool:
        return self.url.lower().startswith(("http://", "https://"))

    @property
    def name(self) -> str:
        """The last part of the path: the file's name."""
        path = urlsplit(self.url).path if self._is_web else _SCHEME.sub("", self.url)
        return path.rstrip("/").rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The name without its last suffix."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """The last suffix with its dot, or an empty string."""
        return PurePosixPath(self.name).suffix

    @property
    def identity(self) -> str:
        """The address without user, signature and fragment: it stays the same when the address is signed again."""
        if not self._is_web:
            return _USER_INFO.sub(r"\1", self.url)
        parts = urlsplit(self.url)
        kept = [(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if not _SIGNATURES.fullmatch(k)]
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme.lower(), host, parts.path, urlencode(kept), ""))

    def __truediv__(self, name: str) -> Address:
        return Address(f"{self.url.rstrip('/')}/{name}")

    def open(self) -> tuple[AbstractFileSystem, str]:
        """Connect to the file system of the address.

        Returns:
            The file system, and the path of the address on it.

        Raises:
            MissingDependencyError: If the package for the scheme is not installed.
            ConfigError: If the scheme is unknown.
        """
        import fsspec  # slow to import, and every command knows addresses

        scheme = self.url.partition("://")[0].lower()
        try:
            # Without fsspec's cache of listings, files that another process has just written are seen.
            opened: tuple[AbstractFileSystem, str] = fsspec.url_to_fs(self.url, use_listings_cache=False)
        except ImportError as error:
            package = _PACKAGES.get(scheme)
            advice = pip_line(package) if package else without_secrets(str(error))
            raise MissingDependencyError(
                f"{shown(self)}: the package for {shown(scheme)}:// is not installed ({shown(advice)})"
            ) from error
        except ValueError as error:
            reason = shown(without_secrets(str(error)))
            raise ConfigError(f"{shown(self)}: {reason}; give s3://, gs://, hf://, https://") from error
        return opened


def address_of(path: str | Path | Address) -> Address:
    """Convert a path or an address to an ``Address``.

    Args:
        path: An address, returned as it is, or a path of this machine.

    Returns:
        The address; ``file://`` and the absolute path for a path of this machine.
    """
    if isinstance(path, Address):
        return path
    return Address(path) if isinstance(path, str) and is_address(path) else Address(f"file://{os.path.realpath(path)}")


def without_secrets(text: str) -> str:
    """Remove user names, passwords, web queries and known secrets from a text.

    Known secrets are the values of environment variables and of fsspec settings whose names say so (``token``,
    ``secret``, ``api_key``, ...) and that have at least 8 characters.

    Args:
        text: Any text, such as the error message of a store's client library.

    Returns:
        The text with ``?...`` in place of each web query and ``***`` in place of each known secret.
    """
    text = _WEB_QUERY.sub(_without_query, _USER_INFO.sub(r"\1", text))
    for secret in _known_secrets():
        text = text.replace(secret, "***")
    return text


def _without_query(match: re.Match[str]) -> str:
    """Leave out a query; punctuation at its end belongs to the sentence."""
    query = match[2]
    return f"{match[1]}?...{query[len(query.rstrip(':;,)')) :]}"


def _known_secrets() -> Iterator[str]:
    import fsspec  # slow to import, and every command knows addresses

    yield from _secrets_in(os.environ)
    yield from _secrets_in(fsspec.config.conf)


def _secrets_in(settings: Mapping[str, Any]) -> Iterator[str]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _secrets_in(value)
        elif isinstance(value, str) and len(value) >= _MIN_SECRET_LENGTH and _SECRET_NAMES.search(name):
            yield value
