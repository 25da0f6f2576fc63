"""Live sources: what an argument means, how it is named, and that no password is ever shown."""

from __future__ import annotations

import os

import pytest

from ava_detect.errors import ConfigError, VideoError
from ava_detect.video.live.source import live_sources

SECRETS = ("hunter2", "topsecret", "tok123")


@pytest.mark.parametrize(
    ("given", "kind", "name", "shown"),
    [
        ("rtsp://10.0.0.5/stream", "stream", "10.0.0.5", "rtsp://10.0.0.5/stream"),
        ("rtsp://me:hunter2@10.0.0.5:554/stream", "stream", "10.0.0.5", "rtsp://10.0.0.5:554/stream"),
        ("rtsp://10.0.0.5/user=me&password=hunter2", "stream", "10.0.0.5", "rtsp://10.0.0.5/..."),
        ("rtsp://10.0.0.5/s?password=hunter2", "stream", "10.0.0.5", "rtsp://10.0.0.5/s?..."),
        ("https://tok123@host.example/live.m3u8?key=topsecret", "stream", "host.example", "https://host.example/live.m3u8?..."),
        ("udp://239.0.0.1:1234", "stream", "239.0.0.1", "udp://239.0.0.1:1234"),
        ("door=rtsp://me:hunter2@10.0.0.5/s", "stream", "door", "rtsp://10.0.0.5/s"),
        ("-", "pipe", "stdin", "the standard input"),
    ],
)  # fmt: skip
def test_what_a_source_is_and_how_it_is_shown(given, kind, name, shown):
    (source,) = live_sources(given)
    assert (source.kind, source.name, str(source)) == (kind, name, shown)
    assert not any(secret in text for secret in SECRETS for text in (str(source), repr(source), source.name))


def test_a_file_has_its_stem_and_a_pipe_is_read_once(tmp_path):
    movie, pipe = tmp_path / "movie.mp4", tmp_path / "feed"
    movie.touch()
    os.mkfifo(pipe)
    file, fifo = live_sources([movie, str(pipe)])
    assert (file.kind, file.name, file.path) == ("file", "movie", movie)
    assert (fifo.kind, fifo.name, fifo.ffmpeg_url) == ("pipe", "feed", f"file:{pipe}")


def test_a_file_with_an_equals_sign_is_a_file(tmp_path):
    movie = tmp_path / "a=b.mp4"
    movie.touch()
    (source,) = live_sources(movie)
    assert (source.name, source.path) == ("a=b", movie)


def test_sources_of_one_host_have_names_of_their_own():
    sources = live_sources(["rtsp://cam/1", "rtsp://cam/2", "CAM=rtsp://cam/3"])
    assert [source.name for source in sources] == ["cam", "cam-2", "CAM-3"]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([], ConfigError, "no source"),
        (["rtsp://a/1", "rtsp://a/1"], ConfigError, "given twice"),
        (["rstp://a/1"], ConfigError, "known are rtsp"),
        (["no_such.mp4"], VideoError, "no such file"),
        (["file:///no/such.mp4"], VideoError, "no such file"),
        (["987"], VideoError, "no camera /dev/video987"),
        (["/dev/video987"], VideoError, "no camera /dev/video987"),
        (["rtsp://[x/1"], ConfigError, "malformed"),
        (["rtsp://me:hunt/er2@cam/s"], ConfigError, "%2F"),
        (["rtsp://me:hunt#er2@cam/s"], ConfigError, "%23"),
        (["rtsp://me:hunter2@h\u2100st/s"], ConfigError, "malformed"),
        (["rtsp://me:hunter2@cam:port/s"], ConfigError, "malformed"),
        (["rtsp:///s"], ConfigError, "no host"),
        (["rtsp:/me:hunter2@cam/s"], VideoError, r"^\.\.\.@cam/s: .* address with its scheme"),
        (["me:hunter2@cam/s"], VideoError, r"^\.\.\.@cam/s: "),
    ],
)
def test_what_is_no_source_is_refused(given, error, message):
    with pytest.raises(error, match=message) as refused:
        live_sources(given)
    assert not any(part in str(refused.value) for part in ("hunt", "er2"))


def test_a_number_that_may_be_a_part_of_a_password_is_not_shown():
    (source,) = live_sources("rtsp://me:12/34@cam/s")
    assert (source.name, str(source)) == ("rtsp", "rtsp://...")


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_without_certificates_is_refused(tmp_path, content):
    file = tmp_path / "camera.pem"
    if content:
        file.write_text(content)
    with pytest.raises(ConfigError, match=r"`certificates` is a PEM file or any, got .*camera.pem"):
        live_sources("rtsps://cam/s", certificates=file)


def test_an_unknown_transport_is_refused():
    with pytest.raises(ConfigError, match="tcp or udp"):
        live_sources("rtsp://a", transport="sctp")
