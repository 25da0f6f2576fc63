"""Folders of corrections, written through the log that ``ava-detect review`` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ava_detect.results.corrections.events import Box, Event
from ava_detect.results.corrections.folder import write_info
from ava_detect.results.corrections.keyframes import CorrectedKeyframe, CorrectedPerson
from ava_detect.results.corrections.log import Base, LogWriter
from ava_detect.structures.labels import LabelMap

People = Mapping[int, tuple[Box, tuple[int, ...]]]  # track id -> box and actions
Step = tuple[float, str] | tuple[float, str, dict[str, object]]  # seconds, kind of event, its details


def write_corrections(
    folder: Path,
    label_map: LabelMap,
    found: Mapping[str, Mapping[float, People]],
    steps: Mapping[str, Sequence[Step]],
    results: Path = Path("results"),
) -> Path:
    """Write the review of some results: what was found on each keyframe, and what a person did, in order."""
    folder.mkdir(parents=True)
    write_info(folder, str(results), 0.5, label_map)
    for video_id, keyframes in found.items():
        people = {
            seconds: CorrectedKeyframe({track: CorrectedPerson(*person) for track, person in of_keyframe.items()})
            for seconds, of_keyframe in keyframes.items()
        }
        writer = LogWriter(folder / f"{video_id}.jsonl", Base(video_id, "0" * 64, 0.5, people))
        for number, (seconds, kind, *details) in enumerate(steps.get(video_id, ()), 1):
            event = {"id": number, "session": "test", "call": number, "time": "2026-11-30T00:00:00Z"}
            event |= {"video": video_id, "seconds": seconds, "kind": kind, **(details[0] if details else {})}
            writer.append(Event.from_json(event))
    return folder


def accepted(found: Mapping[str, Mapping[float, People]]) -> dict[str, list[Step]]:
    """Accept every keyframe as it was found."""
    return {video_id: [(seconds, "accept") for seconds in keyframes] for video_id, keyframes in found.items()}
