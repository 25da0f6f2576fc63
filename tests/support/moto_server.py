"""A real S3 interface on the loopback: moto's server in this process."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

SECRET = "a-secret-that-must-not-be-shown"


@contextmanager
def s3_server() -> Iterator[str]:
    """The server's url; the test is skipped where s3fs or moto is not installed."""
    pytest.importorskip("s3fs", reason="s3fs is not installed (the extra [s3])")
    moto = pytest.importorskip("moto.server", reason="moto's server is not installed")
    server = moto.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    try:
        yield url
    finally:
        # Its content belongs to the process and would be there for the next server.
        urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST")).close()
        server.stop()


def connect(patch: pytest.MonkeyPatch, url: str) -> Any:
    """s3fs at ``url``; this process and those that it starts find the store, and its keys, in their environment."""
    import s3fs  # type: ignore[import-untyped]

    for name, value in (
        ("AWS_ENDPOINT_URL", url),
        ("AWS_ACCESS_KEY_ID", "somebody"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        patch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    return s3fs.S3FileSystem(use_listings_cache=False)
