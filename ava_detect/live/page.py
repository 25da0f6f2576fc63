"""The live page: a small web server on this machine, in a thread of its own.

================================  =============================================================
GET ``/``                         the page
GET ``/NAME.js``, ``/NAME.css``   scripts and style sheets
GET ``/api/fixed``                names of the sources, colours, the warning of the weights
GET ``/api/state``                how the sources are doing, their last keyframes and events
GET ``/api/picture/N?after=S``    the picture of a source; 204 where it is still that of S
================================  =============================================================
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from ava_detect.live.page_state import PageState
from ava_detect.review.guard import Guard, new_token
from ava_detect.review.loopback import LOOPBACK, listen, page_address, server_of

_NO_STORE = {"cache-control": "no-store"}
# Those of the page of results that the live page uses, too.
_SHARED = ("core.js", "people.js", "overlay.js", "page.css")
_SECONDS_TO_END = 5.0


@contextmanager
def live_page(state: PageState, port: int) -> Iterator[str]:
    """Serve the page until the block ends.

    Args:
        state: What the page shows.
        port: The port; 0 for any that is free.

    Yields:
        The address to open, with its token.

    Raises:
        ConfigError: The port is taken.
    """
    with listen(LOOPBACK, port) as listening:
        token, port = new_token(), listening.getsockname()[1]
        server = server_of(Guard(_app(state), token=token, host=LOOPBACK, port=port))
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listening]}, daemon=True, name="ava-detect page"
        )
        thread.start()
        try:
            yield page_address(LOOPBACK, port, token)
        finally:
            server.should_exit = True
            thread.join(_SECONDS_TO_END)


def _app(state: PageState) -> Starlette:
    # Coroutines: everything is in memory, and a thread for each picture would cost more than the picture.
    async def index(request: Request) -> Response:
        return FileResponse(_static_files()["live.html"], media_type="text/html; charset=utf-8")

    async def static(request: Request) -> Response:
        path = _static_files().get(request.path_params["name"])
        if path is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return FileResponse(path)

    async def fixed(request: Request) -> Response:
        return JSONResponse(state.fixed(), headers=_NO_STORE)

    async def current(request: Request) -> Response:
        return JSONResponse(state.current(), headers=_NO_STORE)

    async def picture(request: Request) -> Response:
        try:
            shown = state.picture(request.path_params["number"])
        except IndexError as error:
            raise HTTPException(HTTPStatus.NOT_FOUND) from error
        if shown is None or request.query_params.get("after") == f"{shown.seconds:.3f}":
            return Response(status_code=HTTPStatus.NO_CONTENT, headers=_NO_STORE)
        headers = {**_NO_STORE, "x-seconds": f"{shown.seconds:.3f}"}
        return Response(shown.jpeg, media_type="image/jpeg", headers=headers)

    return Starlette(
        routes=[
            Route("/", index),
            Route("/api/fixed", fixed),
            Route("/api/state", current),
            Route("/api/picture/{number:int}", picture),
            Route("/{name}", static),
        ]
    )


@cache
def _static_files() -> dict[str, Path]:
    """Name -> file: all of the live page's own, and those that it shares."""
    own = Path(str(files("ava_detect.live"))) / "static"
    shared = Path(str(files("ava_detect.visualization.page"))) / "static"
    return {path.name: path for path in (*own.iterdir(), *(shared / name for name in _SHARED))}
