"""Web servers on the loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[str]:
    """The url at which ``server`` answers, from a thread, until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _WholeFilesOnly(SimpleHTTPRequestHandler):
    """Python's own handler answers no range requests."""

    def log_message(self, *args: object) -> None:
        """Keep the test's output clean."""


def serve_folder(folder: Path) -> ThreadingHTTPServer:
    """A server of the files in a folder, which sends them only as a whole."""
    return ThreadingHTTPServer(("127.0.0.1", 0), partial(_WholeFilesOnly, directory=folder))
