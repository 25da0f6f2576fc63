"""The addresses of the review server, below its token.

========================================  ============================================================================
GET ``/``, ``/index.html``                the list of videos
GET ``/video.html``                       the page of a video
GET ``/NAME.js``, ``/NAME.css``           scripts and style sheets
GET ``/page-data/...``                    data of the results
GET ``/page-media/...``                   videos, also parts of them (``Range``), and pictures
GET ``/api/review``                       the videos, the actions and the progress
GET ``/api/next[?video=&keyframe=]``      the first keyframe to review, or the next one
GET ``/api/videos/KEY?session=[&seen=]``  the corrected keyframes of a video, or those changed since an event
POST ``/api/videos/KEY/events``           an event
========================================  ============================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from ava_detect.formats.json_values import MALFORMED, parse_json, reason_of
from ava_detect.review.guard import MAX_BODY_BYTES, Guard
from ava_detect.review.page_files import find_data, find_media, find_static, html, media_type
from ava_detect.review.review import Review
from ava_detect.visualization.page.folder import key_of

_LARGEST_EVENT = 2**53  # numbers of JavaScript are exact up to here


def build_app(review: Review, page: Path, *, token: str, host: str, port: int) -> Guard:
    """Build the ASGI application.

    Args:
        review: The review.
        page: The folder of data and videos.
        token: First part of every path.
        host: The address on which the server listens.
        port: The port on which it listens.

    Returns:
        The application; ``token`` and origin are checked before anything else.
    """
    handlers = _Handlers(review, page)
    routes = [
        Route("/", handlers.index),
        Route("/api/review", handlers.overview),
        Route("/api/next", handlers.following),
        Route("/api/videos/{key}", handlers.state),
        Route("/api/videos/{key}/events", handlers.submit, methods=["POST"]),
        Route("/page-data/{name:path}", handlers.data),
        Route("/page-media/{name:path}", handlers.media),
        Route("/{name}", handlers.static),
    ]
    return Guard(Starlette(routes=routes), token=token, host=host, port=port)


class _Handlers:
    """One method per address."""

    def __init__(self, review: Review, page: Path) -> None:
        self._review, self._page = review, page

    def index(self, request: Request) -> Response:
        return _html("index.html")

    def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name.endswith(".html"):
            return _html(name)
        return _file(find_static(name))

    def data(self, request: Request) -> Response:
        return _file(find_data(self._page, request.path_params["name"]))

    def media(self, request: Request) -> Response:
        return _file(find_media(self._page, request.path_params["name"]))

    def overview(self, request: Request) -> Response:
        found = self._review.overview()
        videos = {key_of(index): counts for index, counts in found["videos"].items()}
        return _json({**found, "videos": videos})

    def following(self, request: Request) -> Response:
        key = request.query_params.get("video")
        here = None if key is None else (_index_of(key), _whole(request.query_params, "keyframe", 0))
        following = self._review.following(here)
        if following is None:
            return _json({"video": None})
        return _json({"video": key_of(following[0]), "seconds": following[1]})

    def state(self, request: Request) -> Response:
        seen = _whole(request.query_params, "seen", -1)
        session = request.query_params.get("session", "")
        try:
            state = self._review.state(_index_of(request.path_params["key"]), session, seen if seen >= 0 else None)
        except KeyError as error:
            raise HTTPException(HTTPStatus.NOT_FOUND) from error
        return _json(state)

    async def submit(self, request: Request) -> Response:
        index = _index_of(request.path_params["key"])
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        try:
            value = parse_json(bytes(body))
        except MALFORMED as error:
            return _json({"reason": reason_of(error)}, HTTPStatus.BAD_REQUEST)
        try:
            status, answer = await run_in_threadpool(self._review.submit, index, value)
        except KeyError as error:
            raise HTTPException(HTTPStatus.NOT_FOUND) from error
        return _json(answer, status)


def _html(name: str) -> Response:
    text = html(name)
    if text is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return Response(text, media_type="text/html; charset=utf-8")


def _file(path: Path | None) -> Response:
    if path is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return FileResponse(path, media_type=media_type(path))


def _json(value: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return JSONResponse(value, status, headers={"cache-control": "no-store"})


def _index_of(key: str) -> int:
    """The index of the video with a key such as ``0001``."""
    if not (key.isascii() and key.isdecimal() and len(key) < 10) or key != key_of(int(key) - 1):
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return int(key) - 1


def _whole(parameters: Mapping[str, str], name: str, default: int) -> int:
    text = parameters.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 17):
        raise HTTPException(HTTPStatus.BAD_REQUEST)
    return min(int(text), _LARGEST_EVENT)
