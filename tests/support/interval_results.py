"""A run of one film whose people do several things at once: what is handed over as intervals, and comes back."""

from __future__ import annotations

import json
from pathlib import Path

from people import detections
from videos import constant_rate, write_numbered_video

from ava_detect.formats.jsonl import write_jsonl
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap

VIDEO_ID = "a b"
STAND, PHONE, LISTEN, TALK = 12, 15, 74, 79
TALK_NAME = "talk to (e.g., self, a person, a group)"
BOX, OTHER_BOX = (0.1, 0.2, 0.3, 0.8), (0.5, 0.2, 0.9, 0.8)
ONE = ({STAND: 0.9, LISTEN: 0.8}, {STAND: 0.9, LISTEN: 0.8, TALK: 0.7}, {STAND: 0.9, TALK: 0.9}, {STAND: 0.9})
TWO: tuple[dict[int, float] | None, ...] = ({}, None, {PHONE: 0.6}, {PHONE: 0.6})


def film(folder: Path, *, start_seconds: float = 0.0) -> Path:
    """Write ``a b.mp4``: 4 seconds of 10 frames; ``start_seconds`` on a player's clock at the first one."""
    times = [start_seconds + time for time in constant_rate(40, 10)]
    return write_numbered_video(folder / f"{VIDEO_ID}.mp4", times, rate=10, width=64, height=48)


def keyframes() -> list[ActionDetections]:
    """At 0 to 3 s person 1 stands, listens at 0 and 1 s, talks at 1 and 2 s. Person 2 phones at 2 and 3 s, not at 1."""
    found = []
    for second, (one, two) in enumerate(zip(ONE, TWO, strict=True)):
        rows = [(BOX, one, 1)] + ([] if two is None else [(OTHER_BOX, two, 2)])
        boxes, actions, track_ids = zip(*rows, strict=True)
        found.append(detections(boxes, actions, video_id=VIDEO_ID, seconds=float(second), track_ids=track_ids))
    return found


def write_results(folder: Path, *, start_seconds: float = 0.0) -> Path:
    """Write the film and, in ``results``, a run with its keyframes. Returns the folder of the results."""
    video, results = film(folder, start_seconds=start_seconds), folder / "results"
    results.mkdir()
    write_jsonl(results / f"{VIDEO_ID}.jsonl", keyframes(), LabelMap.ava())
    record = {"video_id": VIDEO_ID, "status": "done", "source": str(video), "outputs": [f"{VIDEO_ID}.jsonl"]}
    (results / "manifest.jsonl").write_text(f"{json.dumps({'settings': {}})}\n{json.dumps(record)}\n")
    return results
