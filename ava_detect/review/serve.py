"""Run the review server until Ctrl-C."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ava_detect.errors import ConfigError
from ava_detect.results.corrections.order import ORDERS
from ava_detect.results.saved import ReadOptions
from ava_detect.review.loopback import LOOPBACK as LOOPBACK
from ava_detect.review.loopback import listen, page_address, require_server, server_of
from ava_detect.review.review import Review
from ava_detect.structures.progress import OnProgress

if TYPE_CHECKING:
    from ava_detect.review.guard import Guard

DEFAULT_PORT = 8571


@dataclass(frozen=True)
class ReviewOptions:
    """Settings of a review.

    Attributes:
        reading: How the results are read.
        min_score: An action that scores as much counts as ticked at the beginning, 0..1; None for 0.5, or that of the
            review that is continued.
        order: What to look at first: ``time``, or ``useful`` for what teaches a network most.
        budget: Number of keyframes to review; None for all.
        host: Address on which the server listens; the default is reached from this machine only.
        port: Port on which it listens; 0 for any that is free.

    Raises:
        ConfigError: A value is not allowed.
    """

    reading: ReadOptions = field(default_factory=ReadOptions)
    min_score: float | None = None
    order: str = "time"
    budget: int | None = None
    host: str = LOOPBACK
    port: int = DEFAULT_PORT

    def __post_init__(self) -> None:
        """Check the values."""
        if self.order not in ORDERS:
            raise ConfigError(f"`order` is {' or '.join(ORDERS)}, got {self.order!r}")
        if self.budget is not None and self.budget < 1:
            raise ConfigError(f"`budget` is a number of keyframes from 1, got {self.budget}")
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"`port` is a number from 0 to 65535, got {self.port}")


@dataclass(frozen=True)
class ReviewServer:
    """A review that takes requests once it runs.

    Attributes:
        address: The address to open, with its token.
        notices: Sentences on what does not fit: missing videos, torn logs.
        progress: Returns the number of accepted keyframes, and of keyframes to review.
        run: Answers requests until Ctrl-C.
    """

    address: str
    notices: tuple[str, ...]
    progress: Callable[[], tuple[int, int]]
    run: Callable[[], None]


@contextmanager
def review_server(
    results: str | Path,
    out: str | Path,
    options: ReviewOptions | None = None,
    *,
    on_progress: OnProgress | None = None,
) -> Iterator[ReviewServer]:
    """Prepare a server of the page of results in its edit mode, which saves corrections at once.

    Args:
        results: A folder that ``annotate_videos`` wrote, or one file of results; they are not changed.
        out: The folder of the corrections. A review that began there goes on.
        options: Settings of the review.
        on_progress: Told of each video while its page is prepared.

    Yields:
        The server; it listens, and answers while ``run`` runs. Only one server may have ``out`` at a time.

    Raises:
        MissingDependencyError: Starlette or uvicorn is not installed.
        ConfigError: A setting is wrong, ``out`` holds something else or is being reviewed, or the port is taken.
        FormatError: A file cannot be read.
        OSError: ``out`` cannot be written.
    """
    require_server("a review", "review")
    from ava_detect.review.app import build_app
    from ava_detect.review.guard import new_token
    from ava_detect.review.page_files import write_page_files

    options = options or ReviewOptions()
    with (
        listen(options.host, options.port) as listening,
        closing(_review(results, out, options)) as review,
    ):
        title = review.results.resolve().name
        page, notices = write_page_files(review.run, review.folder, title, options.reading, on_progress)
        token, port = new_token(), listening.getsockname()[1]
        app = build_app(review, page, token=token, host=options.host, port=port)
        address = page_address(options.host, port, token)
        yield ReviewServer(address, (*review.notices, *notices), review.progress, partial(_run, app, listening))


def _review(results: str | Path, out: str | Path, options: ReviewOptions) -> Review:
    return Review(
        results, out, options.reading, min_score=options.min_score, order=options.order, budget=options.budget
    )


def _run(app: Guard, listening: socket.socket) -> None:
    # Ctrl-C is how a review ends; uvicorn raises it when it has closed its connections.
    with suppress(KeyboardInterrupt):
        server_of(app).run(sockets=[listening])
