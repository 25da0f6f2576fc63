"""Files that lie elsewhere, by address: ``s3://``, ``gs://``, ``hf://``, ``https://``, whatever fsspec can open.

Keys and endpoints come from where each store's own tools look for them (environment, profiles, fsspec's config files),
never from a setting of this package. An ``Address`` shows itself without user names, passwords and signatures;
``without_secrets`` takes them out of what other libraries say.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import fsspec
from fsspec import AbstractFileSystem

from ava_detect.errors import ConfigError, MissingDependencyError

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_USER = re.compile(r"([a-z][a-z0-9+.-]*://)[^\s/@'\"]*@", re.IGNORECASE)
# Elsewhere "?" and "#" are letters of a file's name.
_WEB_QUERY = re.compile(r"(https?://[^\s?#'\"]*)[?#][^\s'\"]*?([:;,)]*)(?=[\s'\"]|$)", re.IGNORECASE)
# What the stores' signed addresses carry: it changes from day to day and says nothing of which file is meant.
_SIGNATURES = re.compile(
    r"x-(amz|goog|ms)-.*|signature|expires|key-pair-id|policy|awsaccesskeyid|googleaccessid|sig|s[eprtv]|spr"
    r"|sk(oid|tid|t|e|s|v)|(access_?|auth_?)?token|(api_?)?key|password",
    re.IGNORECASE,
)
_SECRET_NAMES = re.compile(
    r"secret|token|passw|credential|(access|account|api|private)_?key|^key$|_key$", re.IGNORECASE
)
_LEAST_SECRET = 8
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


def is_address(text: object) -> bool:
    """Whether this is ``scheme://...`` rather than a path of this machine."""
    return isinstance(text, Address) or (isinstance(text, str) and _SCHEME.match(text) is not None)


@dataclass(frozen=True)
class Address:
    """One ``scheme://...``. ``url``: as given, and nothing to print; ``str()`` is what people may see."""

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
        """The last part: a file's name."""
        path = urlsplit(self.url).path if self._is_web else _SCHEME.sub("", self.url)
        return path.rstrip("/").rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The name without its last suffix."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """The last suffix with its dot, or nothing."""
        return PurePosixPath(self.name).suffix

    @property
    def identity(self) -> str:
        """What stays the same when the address is signed anew: no user, no signature, no fragment."""
        if not self._is_web:
            return _USER.sub(r"\1", self.url)
        parts = urlsplit(self.url)
        kept = [(k, v) for k, v in parse_qsl(parts.query, keep_blank_values=True) if not _SIGNATURES.fullmatch(k)]
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme.lower(), host, parts.path, urlencode(kept), ""))

    def __truediv__(self, name: str) -> Address:
        return Address(f"{self.url.rstrip('/')}/{name}")

    def open(self) -> tuple[AbstractFileSystem, str]:
        """The file system and the path on it.

        ``MissingDependencyError`` where the scheme's package is not installed; ``ConfigError`` for an unknown scheme.
        """
        scheme = self.url.partition("://")[0].lower()
        try:
            # What another process wrote a second ago must be seen: no listing is kept.
            opened: tuple[AbstractFileSystem, str] = fsspec.url_to_fs(self.url, use_listings_cache=False)
        except ImportError as error:
            package = _PACKAGES.get(scheme)
            advice = f"pip install {package}" if package else without_secrets(str(error))
            raise MissingDependencyError(f"{self}: what opens {scheme}:// is not installed ({advice})") from error
        except ValueError as error:
            raise ConfigError(f"{self}: {without_secrets(str(error))}; give s3://, gs://, hf://, https://") from error
        return opened


def address_of(place: str | Path | Address) -> Address:
    """An address as it is; a path of this machine as ``file://``."""
    if isinstance(place, Address):
        return place
    return (
        Address(place) if isinstance(place, str) and is_address(place) else Address(f"file://{Path(place).resolve()}")
    )


def without_secrets(text: str) -> str:
    """``text`` without the users, passwords and queries of its addresses, and without any secret known to this process.

    A query that was cut out leaves ``?...``. Secrets: the values of environment variables and of fsspec's settings
    whose names say so.
    """
    text = _WEB_QUERY.sub(r"\1?...\2", _USER.sub(r"\1", text))
    for secret in _known_secrets():
        text = text.replace(secret, "***")
    return text


def _known_secrets() -> Iterator[str]:
    yield from _secrets_in(os.environ)
    yield from _secrets_in(fsspec.config.conf)


def _secrets_in(settings: Mapping[str, Any]) -> Iterator[str]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _secrets_in(value)
        elif isinstance(value, str) and len(value) >= _LEAST_SECRET and _SECRET_NAMES.search(name):
            yield value
