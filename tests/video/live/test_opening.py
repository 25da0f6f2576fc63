"""Sources that cannot be opened: one clause says what happened and what to try, without passwords."""

from __future__ import annotations

import errno
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av.error
import pytest
from certificates import certificate_file
from stream_server import StreamServer, transport_stream
from web_server import serving

from ava_detect.video.live.opening import LostError, open_source
from ava_detect.video.live.source import live_sources

FOUND = {"/page": (200, b"<html><body>a page</body></html>"), "/empty": (200, b""), "/video": (200, None)}


class Answers(BaseHTTPRequestHandler):
    """A page, an empty answer, a video, and the errors that the path names."""

    def do_GET(self) -> None:
        code, body = FOUND.get(self.path, (int(self.path[1:]) if self.path[1:].isdigit() else 404, b""))
        body = self.server.video if body is None else body
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None: ...


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving(_server()) as url:
        yield url


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return certificate_file(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def encrypted(certificate) -> Iterator[str]:
    server = _server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with serving(server) as url:
        yield url.replace("http", "https", 1)


class Server(ThreadingHTTPServer):
    """Clients that do not trust it hang up, which is no error here."""

    def handle_error(self, request: object, client_address: object) -> None: ...


def _server() -> Server:
    server = Server(("127.0.0.1", 0), Answers)
    server.video = transport_stream(range(25))
    return server


def refusal(url: str, **options: object) -> LostError:
    (source,) = live_sources(url, **options)
    with pytest.raises(LostError) as refused:
        open_source(source, 5.0)
    assert "hunter2" not in str(refused.value)
    return refused.value


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("page", "is no video; give the address of the stream, not of a page"),
        ("empty", "is no video"),
        ("404", "nothing at its path"),
        ("403", "refuses access"),
        ("503", "5XX"),
        ("400", "%20"),
    ],
)
def test_what_a_server_answers_is_said_in_a_clause(server, path, reason):
    lost = refusal(f"{server}/{path}")
    assert reason in str(lost)
    assert lost.is_refused == (path == "403")
    assert not lost.is_permanent


@pytest.mark.parametrize(("user", "reason"), [("", "asks for a user"), ("me:hunter2@", "refuses the user")])
def test_a_refused_password_is_not_tried_often(server, user, reason):
    lost = refusal(f"{server.replace('//', '//' + user)}/401")
    assert reason in str(lost)
    assert lost.is_refused


def test_no_listener_and_no_host_are_told_apart():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert "nothing listens" in str(refusal(f"rtsp://me:hunter2@127.0.0.1:{port}/s"))
    assert "no host of its name" in str(refusal("rtsp://me:hunter2@no-such-host.invalid/s"))


@pytest.mark.parametrize("scheme", ["tcp", "rtsp", "http"])
def test_a_stream_that_ends_at_once_says_so(scheme):
    with StreamServer([(b"", 0.0)]) as server:
        assert "ends before a video has come" in str(refusal(server.url.replace("tcp", scheme)))


def test_a_certificate_is_trusted_only_where_it_is_given(encrypted, certificate):
    lost = refusal(f"{encrypted}/video")
    assert "not trusted" in str(lost) and "`certificates=any`" in str(lost)
    for certificates in (certificate, "any"):
        (source,) = live_sources(f"{encrypted}/video", certificates=certificates)
        with open_source(source, 5.0) as container:
            assert container.streams.video
    assert "not trusted" in str(
        refusal(f"{encrypted.replace('127.0.0.1', 'localhost')}/video", certificates=certificate)
    )


def test_a_server_that_does_not_encrypt_is_named(server):
    assert "try http://" in str(refusal(f"{server.replace('http', 'https')}/video"))


@pytest.mark.parametrize(
    ("number", "reason"), [(errno.EACCES, "group video"), (errno.EBUSY, "another program"), (errno.ENOTTY, "no camera")]
)
def test_what_the_system_says_of_a_camera(monkeypatch, number, reason):
    def refuse(*args: object, **options: object) -> None:
        raise av.error.OSError(number, "refused")

    monkeypatch.setattr("ava_detect.video.live.opening.av.open", refuse)
    assert reason in str(refusal("http://cam/"))


@pytest.mark.parametrize("content", ["", "no video"])
def test_a_pipe_that_holds_no_video_is_not_waited_for(content):
    program = (
        "from ava_detect.video.live.opening import *; from ava_detect.video.live.source import live_sources\n"
        "try: open_source(live_sources('-')[0], 5.0)\n"
        "except LostError as error: print(error.is_permanent, error)"
    )
    done = subprocess.run([sys.executable, "-c", program], input=content, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("True what comes, if anything, is no container of video")
