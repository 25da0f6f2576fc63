"""A proxy before an object store that fails as stores do: 503s, answers that are cut short, and slowness, by chance."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_SLOW_DOWN = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"""


class FaultProxy:
    """Answers at ``url`` for the server at ``host`` and ``port``.

    ``refuse``, ``cut``: the share of requests that are answered by 503, and of answers that end in their middle.
    ``slow_seconds``: every answer waits up to so long. ``counts``: what was done.
    """

    def __init__(
        self, host: str, port: int, *, refuse: float = 0.0, cut: float = 0.0, slow_seconds: float = 0.0, seed: int = 0
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._target = (host, port)
        self._refuse, self._cut, self._slow_seconds = refuse, cut, slow_seconds
        self._chance = random.Random(seed)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                proxy._handle(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on  # noqa: N815

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

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
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        time.sleep(self._chance.uniform(0, self._slow_seconds))
        fate = self._chance.random()
        if fate < self._refuse:
            self.counts["refused"] += 1
            self._answer(request, 503, [("Content-Type", "application/xml")], _SLOW_DOWN)
            return
        connection = http.client.HTTPConnection(*self._target, timeout=60)
        connection.request(request.command, request.path, body, dict(request.headers))
        response = connection.getresponse()
        content = response.read()
        connection.close()
        dropped = {"transfer-encoding", "connection", "content-length"}
        headers = [(name, value) for name, value in response.getheaders() if name.lower() not in dropped]
        if request.command == "HEAD":
            headers.append(("Content-Length", response.getheader("Content-Length") or "0"))
        elif request.command == "GET" and len(content) > 1 and fate < self._refuse + self._cut:
            self.counts["cut"] += 1
            self._answer(request, response.status, headers, content, keep=len(content) // 2)
            return
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
            # Whoever asked has gone.
            request.close_connection = True
