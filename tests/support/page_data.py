"""Synthetic results for the tests of the page: a movie of moving rectangles, whose every frame is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from people import detections

from ava_detect.formats.jsonl import write_jsonl
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap
from ava_detect.video.writer import VideoWriter

WIDTH, HEIGHT, FPS, SECONDS = 640, 360, 10, 8
STAND, WALK, HAND_WAVE, READ = 12, 14, 69, 48
WAVING_SECONDS = (3, 4, 7)
GUEST_SECONDS = (2, 3, 4, 5)
AVA = LabelMap.ava()


def walker_box(seconds: float) -> np.ndarray:
    """Person 1 in pixels: walks to the right, 64 pixels a second."""
    return np.array([20 + 64 * seconds, 60, 100 + 64 * seconds, 300])


GUEST_BOX = np.array([300, 20, 360, 120])


def write_movie(path: Path, seconds: int = SECONDS, fps: int = FPS) -> Path:
    """Person 1 is a white rectangle and person 2 a grey one, on a dark ground."""
    with VideoWriter(path, fps, quality=4) as writer:
        for number in range(seconds * fps):
            image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
            if GUEST_SECONDS[0] <= number / fps <= GUEST_SECONDS[-1]:
                _fill(image, GUEST_BOX, 140)
            _fill(image, walker_box(number / fps), 255)
            writer.write(image)
    return path


def _fill(image: np.ndarray, box: np.ndarray, value: int) -> None:
    x1, y1, x2, y2 = np.rint(box).astype(int)
    image[y1:y2, x1:x2] = value


def keyframe(video_id: str, seconds: float, people: list[tuple[Any, ...]]) -> ActionDetections:
    """``people``: (track id or None, box in pixels, person score, {action id: score})."""
    tracks = [track for track, *_ in people]
    return detections(
        [(np.asarray(box) / (WIDTH, HEIGHT, WIDTH, HEIGHT)).tolist() for _, box, _, _ in people],
        [actions for *_, actions in people],
        video_id=video_id,
        seconds=seconds,
        person_scores=[score for _, _, score, _ in people],
        track_ids=None if None in tracks else tracks,
    )


def movie_keyframes(video_id: str, seconds: int = SECONDS) -> list[ActionDetections]:
    """The people of the movie: 1 stands, walks and waves on three seconds; 2 is there for four seconds and reads."""
    keyframes = []
    for second in range(seconds):
        walker = {STAND: 0.4, WALK: 0.9} | ({HAND_WAVE: 0.8} if second in WAVING_SECONDS else {HAND_WAVE: 0.2})
        people = [(1, walker_box(second), 0.9, walker)]
        if second in GUEST_SECONDS:
            people.append((2, GUEST_BOX, 0.7, {READ: 0.6}))
        keyframes.append(keyframe(video_id, float(second), people))
    return keyframes


def record(video_id: str, source: Path, **changes: object) -> dict[str, Any]:
    """A line of the manifest."""
    size = source.stat().st_size if source.is_file() else 0
    return {
        "video_id": video_id,
        "source": str(source),
        "status": "done",
        "message": "",
        "outputs": [f"{video_id}.jsonl"],
        "source_bytes": size,
    } | changes


def write_manifest(folder: Path, records: list[dict[str, Any]], **settings: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [{"settings": {"start_seconds": 0.0, **settings}}, *records]
    (folder / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def write_results(folder: Path, videos: dict[str, Path]) -> Path:
    """A folder as ``annotate`` leaves it: the movie's people for each of ``videos`` (id -> file)."""
    write_manifest(folder, [record(video_id, path) for video_id, path in videos.items()])
    for video_id in videos:
        write_jsonl(folder / f"{video_id}.jsonl", movie_keyframes(video_id), AVA)
    return folder


def write_ground_truth(path: Path, video_id: str, start_seconds: int = 0) -> Path:
    """Person 1 always walks, waves at 3 (found) and 5 (missed); the guest is no true person; another at 6 is missed."""
    rows = []
    for second in range(SECONDS):
        actions = [WALK] + ([HAND_WAVE] if second in (3, 5) else [])
        people = [(0, walker_box(second), actions)]
        if second == 6:
            people.append((1, np.array([10, 10, 80, 80]), [STAND]))
        for person, box, ids in people:
            corners = ",".join(f"{value:.5f}" for value in box / (WIDTH, HEIGHT, WIDTH, HEIGHT))
            rows += [f"{video_id},{second + start_seconds:04d},{corners},{action_id},{person}\n" for action_id in ids]
    path.write_text("".join(rows))
    return path


def read_piece(page: Path, key: str) -> dict[str, Any]:
    """The value of one script of a page."""
    text = (page / "page-data" / f"{key}.js").read_text(encoding="ascii")
    name, _, value = text.removeprefix("AvaPage.register(").removesuffix(");\n").partition(", ")
    assert json.loads(name) == key
    content: dict[str, Any] = json.loads(value)
    return content
