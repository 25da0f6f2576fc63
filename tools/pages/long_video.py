"""A long video and its results, for measurements of pages."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from ava_detect.formats.jsonl import jsonl_writer
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap
from ava_detect.video.writer import VideoWriter

FPS, LOOP_SECONDS, WIDTH, HEIGHT = 60, 10, 640, 360
TRACK_SECONDS = 40


def write_long_video(path: Path, hours: float, fps: int = FPS) -> None:
    """Encode 10 s once, and repeat its packets up to a length.

    Args:
        path: The mp4 file to write.
        hours: Length of the video.
        fps: Frames a second.
    """
    loop = path.with_name("loop.mp4")
    with VideoWriter(loop, fps) as writer:
        for number in range(fps * LOOP_SECONDS):
            image = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
            x = number * (WIDTH - 80) // (fps * LOOP_SECONDS)
            image[80:300, x : x + 80] = 220
            writer.write(image)
    with av.open(str(loop)) as source, av.open(str(path), "w", options={"movflags": "+faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        time_base = source.streams.video[0].time_base
        packets = [packet for packet in source.demux(video=0) if packet.dts is not None]
        length = round(LOOP_SECONDS / time_base)
        for repeat in range(round(hours * 3600 / LOOP_SECONDS)):
            for packet in packets:
                copy = av.Packet(bytes(packet))
                copy.pts, copy.dts = packet.pts + repeat * length, packet.dts + repeat * length
                copy.time_base, copy.is_keyframe, copy.stream = time_base, packet.is_keyframe, stream
                target.mux(copy)
    loop.unlink()


def write_results(path: Path, video_id: str, num_boxes: int, hours: float, every_seconds: float = 1.0) -> None:
    """Write results with about the same number of people on each keyframe; a person stays for 40 s.

    Args:
        path: The jsonl file to write.
        video_id: Id of the video.
        num_boxes: Number of people on all keyframes together.
        hours: Length of the video.
        every_seconds: Time from one keyframe to the next.
    """
    random = np.random.default_rng(0)
    num_keyframes = round(hours * 3600 / every_seconds)
    per_keyframe = np.diff(np.linspace(0, num_boxes, num_keyframes + 1).round().astype(int))
    # Each row: the five actions of a person.
    actions = np.stack([random.choice(80, 5, replace=False) for _ in range(200)])
    with jsonl_writer(path, LabelMap.ava()) as write:
        for number, count in enumerate(per_keyframe.tolist()):
            second = number * every_seconds
            people = np.arange(count)
            tracks = 1 + people + 16 * int(second // TRACK_SECONDS)
            x = 0.02 + 0.8 * ((people * 0.13 + 0.01 * second) % 1)
            boxes = np.stack([x, np.full(count, 0.2), x + 0.15, np.full(count, 0.85)], axis=1)
            scores = random.uniform(0, 0.09, (count, 80))
            scores[people[:, None], actions[tracks % len(actions)]] = random.uniform(0.2, 1, (count, 5))
            person_scores = np.full(count, 0.9)
            keyframe = ActionDetections(video_id, round(second, 6), boxes, person_scores, scores, track_ids=tracks)
            write(keyframe, keyframe.action_scores >= 0.1)
