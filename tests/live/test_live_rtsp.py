"""Against a real RTSP server, GStreamer's, with a real video: it is killed, comes back smaller, loses packets, encrypts
and asks for a password.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest
from certificates import certificate_file
from concurrency import wait_until
from fixed_detector import FixedDetector

from ava_detect.inference.live.options import LiveOptions
from ava_detect.inference.pipeline import Pipeline
from ava_detect.structures import ClipSettings
from ava_detect.video.reader import VideoReader
from ava_detect.video.writer import VideoWriter

sys.path.append(str(Path(__file__).resolve().parents[2] / "tools"))
from live.streams import RtspServer, has_rtsp_server, repeated


class Nothing:
    """A scorer of short clips that computes nothing."""

    clip_settings = ClipSettings(num_frames=4, sampling_rate=3, short_side=32, resize="swscale")
    num_actions, clips_per_batch, calls_at_once = 80, 1, 1

    def start_thread(self) -> None: ...

    def score(self, clips, people):
        import numpy as np

        return [np.zeros((len(found), 80), np.float32) for found in people]


@pytest.fixture(scope="module")
def streams(shared, tmp_path_factory):
    """A real video, again and again, and the same at half the size."""
    if not has_rtsp_server():
        pytest.skip("GStreamer's RTSP server (gir1.2-gst-rtsp-server-1.0) is not installed")
    folder = tmp_path_factory.mktemp("rtsp")
    video = shared / "videos" / "mm_demo.mp4"
    with VideoWriter(folder / "small.mp4", 28) as writer:
        for frame, _ in zip(VideoReader(video).decode(), range(60), strict=False):
            writer.write(frame.image(212, 128))
    return repeated(video, folder / "large.mkv", 60), repeated(folder / "small.mp4", folder / "small.mkv", 60)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_server_that_is_killed_and_comes_back_smaller_and_lossy(streams, transport):
    large, small = streams
    server = RtspServer({"cam": large})
    again = RtspServer({"cam": small}, port=server.port, loss=0.1)
    notices, keyframes = [], []
    pipeline = Pipeline(FixedDetector((0.1, 0.1, 0.5, 0.9)), Nothing(), every_seconds=0.2)
    options = LiveOptions(transport=transport, lost_seconds=1.0, max_seconds=100)
    run = pipeline.live(f"cam={server.url('cam')}", options, on_notice=notices.append)
    thread = threading.Thread(target=lambda: keyframes.extend(run))

    def sizes() -> list[str]:
        return [notice.text for notice in notices if notice.kind == "connected"]

    with server:
        thread.start()
        wait_until(lambda: run.status()[0].num_keyframes >= 5)
        server.kill()
        wait_until(lambda: any(notice.kind == "lost" for notice in notices))
        num_before = run.status()[0].num_keyframes
        with again:
            wait_until(lambda: run.status()[0].num_keyframes >= num_before + 5)
            run.stop()
            thread.join()
    assert sizes()[0] == "427x256, h264"
    assert sizes()[-1] == "212x128, h264"
    times = [keyframe.timestamp_seconds for keyframe in keyframes]
    assert times == sorted(set(times))


def test_an_encrypted_stream_with_a_password(streams, tmp_path):
    """A certificate is believed where it is given; a wrong password is said, not shown."""
    certificate = certificate_file(tmp_path)
    pipeline = Pipeline(FixedDetector((0.1, 0.1, 0.5, 0.9)), Nothing(), every_seconds=0.2)

    def first_notice(password: str, certificates: Path | None) -> tuple[str, str]:
        notices = []
        url = server.url("cam").replace("//", f"//me:{password}@")
        options = LiveOptions(certificates=certificates, max_seconds=100)
        run = pipeline.live(f"cam={url}", options, on_notice=notices.append)
        thread = threading.Thread(target=lambda: list(run))
        thread.start()
        wait_until(lambda: bool(notices))
        run.stop()
        thread.join()
        assert not any(password in text for text in (repr(notices), repr(run.status())))
        return notices[0].kind, notices[0].text

    with RtspServer({"cam": streams[0]}, certificate=certificate, user="me:hunter2") as server:
        assert first_notice("hunter2", certificate) == ("connected", "427x256, h264")
        kind, text = first_notice("hunter2", None)
        assert kind == "lost" and "not trusted" in text
        kind, text = first_notice("hunter9", certificate)
        assert kind == "lost" and "refuses the user or the password" in text
