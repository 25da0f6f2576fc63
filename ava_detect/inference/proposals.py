"""Person boxes on annotated keyframes, written down once: what a training and a test of actions start from."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from av.error import FFmpegError

from ava_detect.detectors import build_detector
from ava_detect.detectors.base import PersonDetector
from ava_detect.errors import AvaDetectError, ConfigError
from ava_detect.formats.ava_csv import AvaTable, read_ava_csv, write_ava_table
from ava_detect.formats.ava_table import decimal_values
from ava_detect.inference.keyframe_plan import KeyframePlan, VideoKeyframes, plan_keyframes
from ava_detect.inference.prefetch import prefetch
from ava_detect.models.execution import resolve_device
from ava_detect.structures import ClipSettings, Frame, PersonBoxes
from ava_detect.structures import boxes as box_ops
from ava_detect.structures.progress import OnProgress, Progress
from ava_detect.video.clip_sampler import ClipSampler, Keyframe
from ava_detect.video.reader import VideoReader

# The keyframe alone, and of the picture for a network as little as can be.
_KEYFRAME_ONLY = ClipSettings(num_frames=1, sampling_rate=1, short_side=16, resize="swscale")
# Keyframes that go through the detector at once, and that are decoded meanwhile.
_KEYFRAMES_AT_ONCE = 4


@dataclass(frozen=True)
class Proposals:
    """What ``propose_people`` wrote. ``keyframes``: those that were looked at. ``problems``: a sentence for whatever
    could not be.
    """

    out: str
    videos: int
    keyframes: int
    people: int
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def propose_people(
    videos: str | Path,
    ground_truth: str | Path,
    out: str | Path,
    *,
    detector: str = "builtin",
    min_person_score: float | None = None,
    exclude: str | Path | None = None,
    start_seconds: float = 0.0,
    device: str = "auto",
    on_progress: OnProgress | None = None,
) -> Proposals:
    """Write the people that ``detector`` (a spec) finds on the keyframes of an AVA csv, as an AVA csv of proposals.

    ``out`` gets a row a person, with the boxes that ``annotate`` has there: fractions of the frame, no action, the
    person's score in column 8. A video on which nobody is found at all has its keyframes listed in rows of two columns,
    so that it is told from one that was not looked at. ``videos``: a folder or glob, files named by the videos' ids.
    ``min_person_score``: people below it are left out; None for the detector's own default. ``exclude``: a csv of
    keyframes that are left out. ``start_seconds``: where in its movie each file starts. ``on_progress`` is told
    of the keyframes.

    A video that is missing or broken is named in ``problems`` and the others go on. The file appears whole, at the end.
    Raises ``ConfigError`` (and other ``AvaDetectError``) before any work when the call itself is wrong, and
    ``AvaDetectError`` when no video at all could be read.
    """
    target = Path(out)
    _check_writable(target)
    finder = build_detector(detector, min_score=min_person_score, device=resolve_device(device))
    excluded = None if exclude is None else read_ava_csv(exclude)
    plan = plan_keyframes(
        read_ava_csv(ground_truth, last_column="person_id"), videos, exclude=excluded, start_seconds=start_seconds
    )
    found, failures = _look_at_all(plan, finder, on_progress)
    problems = (*plan.missing_problems(videos, "{keyframes} have no boxes"), *failures)
    if not found:
        others = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        shown = "; ".join(problems[:3]) + others
        raise AvaDetectError(f"{target} is not written, because no video could be read: {shown}")
    table = AvaTable.concatenate([video.table for video in found])
    write_ava_table(target, table)
    num_keyframes = sum(video.num_keyframes for video in found)
    return Proposals(str(target), len(found), num_keyframes, int(np.count_nonzero(~table.lists_only)), problems)


def _check_writable(out: Path) -> None:
    """Say that a file cannot be written before hours of work, not after."""
    if out.is_dir():
        raise ConfigError(f"`out` {out} is a folder; give the name of a csv in it")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"`out` {out} cannot be written to ({error.strerror or error}); choose another folder"
        ) from error


@dataclass(frozen=True)
class _Found:
    """One video's rows, how many of its keyframes were seen, and what is wrong with it, if anything is."""

    table: AvaTable
    num_keyframes: int
    shortfall: str


def _look_at_all(
    plan: KeyframePlan, detector: PersonDetector, on_progress: OnProgress | None
) -> tuple[list[_Found], list[str]]:
    """What was found in each video that could be read, and a sentence for whatever could not be."""
    found, problems = [], []
    num_before, num_planned = 0, sum(len(video.seconds) for video in plan.videos)

    def tick(num_keyframes: int) -> None:
        if on_progress is not None:
            on_progress(Progress("keyframes", num_before + num_keyframes, num_planned))

    for video in plan.videos:
        try:
            found.append(_look_at(video, detector, tick))
        except (ValueError, OSError, FFmpegError) as error:
            # What a video can be guilty of; the caller is told what it was.
            problems.append(f"{error}; {video.source.video_id} has no boxes")
        else:
            if found[-1].shortfall:
                problems.append(f"{video.source.path}: {found[-1].shortfall}; the rest has its boxes")
        num_before += len(video.seconds)
        tick(0)
    return found, problems


def _look_at(video: VideoKeyframes, detector: PersonDetector, tick: Callable[[int], None]) -> _Found:
    reader = VideoReader(video.source.path)
    seconds: list[float] = []
    people: list[PersonBoxes] = []
    with closing(prefetch(_keyframes(reader, video.seconds_to_see), _KEYFRAMES_AT_ONCE)) as keyframes:
        while batch := list(islice(keyframes, _KEYFRAMES_AT_ONCE)):
            people += _detect(detector, batch, video.source.video_id)
            seconds += [keyframe.timestamp_seconds for keyframe in batch]
            tick(len(seconds))
    in_movie = [second + video.start_seconds for second in seconds]
    table = _rows(video.source.video_id, in_movie, people)
    return _Found(table, len(seconds), video.shortfall(len(seconds), reader.damaged_packets))


def _keyframes(reader: VideoReader, seconds: Sequence[float]) -> Generator[Keyframe, None, None]:
    yield from ClipSampler(reader, _KEYFRAME_ONLY).sample(seconds)


def _detect(detector: PersonDetector, keyframes: Sequence[Keyframe], video_id: str) -> Iterator[PersonBoxes]:
    """The people on each keyframe, boxes as fractions inside the frame; who lies wholly outside is left out."""
    frames = []
    for keyframe in keyframes:
        assert keyframe.image is not None, "the sampler was asked for keyframe images"
        frames.append(Frame(keyframe.image, keyframe.timestamp_seconds, video_id))
    for frame, people in zip(frames, detector(frames), strict=True):
        height, width = frame.image.shape[:2]
        inside = box_ops.clip(box_ops.pixels_to_fractions(people.boxes_xyxy, width, height), 1, 1).astype(np.float32)
        yield PersonBoxes(inside, people.scores)[box_ops.areas(inside) > 0]


def _rows(video_id: str, seconds: Sequence[float], people: Sequence[PersonBoxes]) -> AvaTable:
    """A row a person; where nobody is on any of the keyframes, a row a keyframe that lists it."""
    counts = [len(boxes) for boxes in people]
    if not sum(counts):
        return AvaTable.from_columns([video_id] * len(seconds), seconds, np.full((len(seconds), 4), np.nan))
    return AvaTable.from_columns(
        [video_id] * sum(counts),
        np.repeat(seconds, counts),
        decimal_values(np.concatenate([boxes.boxes_xyxy for boxes in people])),
        scores=decimal_values(np.concatenate([boxes.scores for boxes in people])),
    )
