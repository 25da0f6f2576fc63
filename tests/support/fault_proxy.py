"""A proxy before an object store that fails at random as stores do: 503s, answers cut short or lost, and delays."""

from __future__ import annotations

import http.client
import random
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_SLOW_DOWN = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are killed break their connections; anything else is worth a traceback."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class FaultProxy:
    """Answers at ``url`` for the server at ``host`` and ``port``.

    ``refuse``: the share of requests answered by 503. ``cut``: the share of answers that break off in the middle; for
    requests other than GET, of answers that never come although the request was carried out. ``slow_seconds``: the
    longest delay of an answer. All three may be changed at any time. ``counts``: the number of answers of each kind.
    """

    def __init__(
        self, host: str, port: int, *, refuse: float = 0.0, cut: float = 0.0, slow_seconds: float = 0.0, seed: int = 0
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._target = (host, port)
        self.refuse, self.cut, self.slow_seconds = refuse, cut, slow_seconds
        self._chance = random.Random(seed)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                proxy._handle(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on  # noqa: N815

            def log_message(self, *args: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @classmethod
    def before(cls, url: str, **settings: Any) -> FaultProxy:
        """One for the server at ``http://host:port``."""
        parts = urlsplit(url)
        return cls(str(parts.hostname), int(parts.port or 80), **settings)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handle(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers.get("Content-Length") or 0)
        body = request.rfile.read(length)
        if len(body) < length:
            # The client died while it sent this; a store keeps no partial object either.
            request.close_connection = True
            return
        time.sleep(self._chance.uniform(0, self.slow_seconds))
        fate = self._chance.random()
        if fate < self.refuse:
            self.counts["refused"] += 1
            self._answer(request, 503, [("Content-Type", "application/xml")], _SLOW_DOWN)
            return
        is_cut = fate < self.refuse + self.cut
        connection = http.client.HTTPConnection(*self._target, timeout=60)
        connection.request(request.command, request.path, body, dict(request.headers))
        response = connection.getresponse()
        content = response.read()
        connection.close()
        dropped = {"transfer-encoding", "connection", "content-length"}
        headers = [(name, value) for name, value in response.getheaders() if name.lower() not in dropped]
        if request.command == "HEAD":
            headers.append(("Content-Length", response.getheader("Content-Length") or "0"))
        if is_cut and request.command not in ("GET", "HEAD"):
            self.counts["lost"] += 1
            request.close_connection = True
        elif is_cut and request.command == "GET" and len(content) > 1:
            self.counts["cut"] += 1
            self._answer(request, response.status, headers, content, keep=len(content) // 2)
        else:
            self.counts["passed"] += 1
            self._answer(request, response.status, headers, content)

    @staticmethod
    def _answer(
        request: BaseHTTPRequestHandler,
        status: int,
        headers: list[tuple[str, str]],
        content: bytes,
        keep: int | None = None,
    ) -> None:
        try:
            request.send_response_only(status)
            for name, value in headers:
                request.send_header(name, value)
            if request.command != "HEAD":
                request.send_header("Content-Length", str(len(content)))
            request.end_headers()
            if request.command != "HEAD":
                request.wfile.write(content[:keep])
            if keep is not None:
                request.close_connection = True
                request.wfile.flush()
                request.connection.close()
        except OSError:
            # The client is no longer there.
            request.close_connection = True
