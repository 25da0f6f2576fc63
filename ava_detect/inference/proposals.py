"""Person proposals: boxes that a detector finds on annotated keyframes, written once for training and benchmarks."""

from __future__ import annotations

import csv
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ava_detect.config import SplitConfig
from ava_detect.detectors import build_detector
from ava_detect.detectors.base import PersonDetector, find_people
from ava_detect.detectors.specs import check_spec
from ava_detect.errors import AvaDetectError, ConfigError, message_of, shown
from ava_detect.formats.annotation_files import read_ground_truth
from ava_detect.formats.ava_csv import AvaTable, read_ava_csv, write_ava_table
from ava_detect.formats.ava_table import shortest_decimals
from ava_detect.formats.proposal_pickles import is_pickle_file
from ava_detect.formats.row_checks import check_boxes
from ava_detect.formats.tube_pickles import read_tube_annotations
from ava_detect.inference.keyframe_plan import KeyframePlan, VideoKeyframes, plan_keyframes
from ava_detect.inference.prefetch import prefetch
from ava_detect.inference.tube_plan import TubePlan, plan_tubes
from ava_detect.models.network_options import resolve_device
from ava_detect.storage.outputs import check_output, first_bytes
from ava_detect.structures import ClipSettings, Frame, PersonBoxes
from ava_detect.structures import boxes as box_ops
from ava_detect.structures.progress import OnProgress, Progress
from ava_detect.video.clip_sampler import ClipSampler, Keyframe
from ava_detect.video.reader import VideoReader

# One frame per clip, and a clip as small as possible: only the keyframe image is used.
_KEYFRAME_ONLY = ClipSettings(num_frames=1, sampling_rate=1, short_side=16, resize="swscale")
# Keyframes per call of the detector, and keyframes that are decoded meanwhile.
_KEYFRAMES_PER_BATCH = 4


@dataclass(frozen=True)
class DetectorOptions:
    """Which detector finds the people.

    Attributes:
        spec: The detector's spec (docs/detectors.md).
        min_person_score: People with a lower score, in 0..1, are left out; None for the detector's own default.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    spec: str = "builtin"
    min_person_score: float | None = None
    device: str = "auto"

    def build(self) -> PersonDetector:
        """Build the detector.

        Raises:
            DetectorError: The spec cannot be understood, or the detector cannot be built.
        """
        return build_detector(self.spec, min_score=self.min_person_score, device=resolve_device(self.device))


@dataclass(frozen=True)
class Proposals:
    """What ``propose_people`` wrote.

    Attributes:
        out: The csv file.
        videos: Number of videos that were read.
        keyframes: Number of keyframes that were read.
        people: Number of boxes.
        problems: A sentence for each video that could not be read, or not whole.
        notes: A sentence for each video that was read whole, although its time stamps jump.
    """

    out: str
    videos: int
    keyframes: int
    people: int
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def propose_people(
    videos: str | Path,
    ground_truth: str | Path,
    out: str | Path,
    detector: DetectorOptions | None = None,
    *,
    exclude: str | Path | None = None,
    start_seconds: float = 0.0,
    overwrite: bool = True,
    on_progress: OnProgress | None = None,
) -> Proposals:
    """Write the people that a detector finds on the keyframes of a data set, as an AVA csv of proposals.

    The file has a row per person, with the boxes that ``annotate`` finds there: fractions of the frame, no action, the
    person's score in column 8. A video without any person has its keyframes listed in rows of two columns, which tells
    it apart from a video that was not read. A video that is missing or broken is named in ``problems`` and the others
    go on. The file is written atomically at the end.

    Args:
        videos: A folder or glob of video files named by the videos' ids.
        ground_truth: The AVA csv whose keyframes are read; or the pickle of a data set of tubes, whose keyframes are
            the frames with a tube: their numbers stand in place of the seconds.
        out: The csv of proposals.
        detector: Which detector finds the people; the builtin one by default.
        exclude: A csv of keyframes that are left out.
        start_seconds: Where in its movie each file starts, in seconds.
        overwrite: Whether an existing ``out`` that holds something other than proposals is replaced.
        on_progress: Told of the keyframes.

    Returns:
        Counts, and a sentence for each problem.

    Raises:
        ConfigError: The call is wrong; raised before any work.
        AvaDetectError: No video could be read.
    """
    target = Path(out)
    if target.is_dir():
        raise ConfigError(f"`out` {out} is a folder; give the name of a csv in it")
    inputs = {"videos": videos, "ground_truth": ground_truth, "exclude": exclude}
    check_output(target, inputs, is_own=_is_proposals, overwrite=overwrite)
    options = detector or DetectorOptions()
    check_spec(options.spec)
    tubes = None
    if is_pickle_file(ground_truth):
        if exclude is not None or start_seconds:
            raise ConfigError("`exclude` and `start_seconds` are not for tubes, which count the frames of their files")
        tubes = _plan_of_pickle(ground_truth, videos)
        plan = tubes.keyframes
    else:
        excluded = None if exclude is None else read_ava_csv(exclude)
        truth = read_ground_truth(ground_truth, start_seconds=start_seconds)
        check_boxes(truth, ground_truth)
        plan = plan_keyframes(truth, videos, exclude=excluded, start_seconds=start_seconds)
    # The detector comes last, because it can take the most time and memory to load.
    found, failures = _detect_in_videos(plan, options.build(), on_progress)
    problems = (*plan.missing_problems(ground_truth, videos, "{keyframes} have no boxes"), *failures)
    if not found:
        others = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        first = "; ".join(problems[:3]) + others
        raise AvaDetectError(f"{target} is not written, because no video could be read: {first}")
    table = AvaTable.concatenate([video.table for video in found])
    table = table if tubes is None else tubes.in_frames(table)
    write_ava_table(target, table)
    num_keyframes = sum(video.num_keyframes for video in found)
    num_people = int(np.count_nonzero(~table.is_keyframe_only))
    notes = tuple(video.jumps for video in found if video.jumps)
    return Proposals(str(target), len(found), num_keyframes, num_people, problems, notes)


def _plan_of_pickle(path: str | Path, videos: str | Path) -> TubePlan:
    """The frames with a tube of all videos of a pickle."""
    annotations = read_tube_annotations(path)
    files = SplitConfig(annotations=str(path), videos=str(videos))
    return plan_tubes(annotations, tuple(annotations.tubes), files, "labelled")


def _is_proposals(path: Path) -> bool:
    """Tell whether the first rows of a file are proposals: keyframes, and people without an action."""
    rows = list(csv.reader(first_bytes(path).decode("utf-8", "replace").splitlines()))
    return all(len(row) == 2 or (len(row) == 8 and not row[6]) for row in rows[: max(1, len(rows) - 1)])


@dataclass(frozen=True)
class _VideoProposals:
    """The rows of one video, the number of its keyframes that were read, and sentences on the rest and on its times."""

    table: AvaTable
    num_keyframes: int
    shortfall: str
    jumps: str


def _detect_in_videos(
    plan: KeyframePlan, detector: PersonDetector, on_progress: OnProgress | None
) -> tuple[list[_VideoProposals], list[str]]:
    """The proposals of each video that could be read, and a sentence for each that could not, or not whole."""
    found, problems = [], []
    num_before, num_planned = 0, sum(len(video.seconds) for video in plan.videos)

    def report(num_keyframes: int) -> None:
        if on_progress is not None:
            on_progress(Progress("keyframes", num_before + num_keyframes, num_planned))

    for video in plan.videos:
        try:
            found.append(_detect_in_video(video, detector, report))
        except Exception as error:  # One video must not lose the others; the caller gets the error.
            problems.append(f"{message_of(error)}; {shown(video.source.video_id)} has no boxes")
        else:
            if found[-1].shortfall:
                problems.append(f"{video.source.path}: {found[-1].shortfall}; the rest has its boxes")
        num_before += len(video.seconds)
        report(0)
    return found, problems


def _detect_in_video(video: VideoKeyframes, detector: PersonDetector, report: Callable[[int], None]) -> _VideoProposals:
    reader = VideoReader(video.source.path)
    seconds: list[float] = []
    people: list[PersonBoxes] = []
    with closing(prefetch(_keyframes(reader, video.readable_seconds), _KEYFRAMES_PER_BATCH)) as keyframes:
        while batch := list(islice(keyframes, _KEYFRAMES_PER_BATCH)):
            people += _people_on(detector, batch, video.source.video_id)
            seconds += [keyframe.timestamp_seconds for keyframe in batch]
            report(len(seconds))
    in_movie = [second + video.start_seconds for second in seconds]
    table = _rows(video.source.video_id, in_movie, people)
    jumps = reader.time_jumps()
    return _VideoProposals(
        table,
        len(seconds),
        video.shortfall(len(seconds), reader.damaged_packets),
        f"{video.source.path}: {jumps}" if jumps else "",
    )


def _keyframes(reader: VideoReader, seconds: Sequence[float]) -> Generator[Keyframe, None, None]:
    yield from ClipSampler(reader, _KEYFRAME_ONLY).sample(seconds)


def _people_on(detector: PersonDetector, keyframes: Sequence[Keyframe], video_id: str) -> Iterator[PersonBoxes]:
    """The people on each keyframe, boxes as fractions and clipped; people wholly outside the frame are dropped."""
    frames = []
    for keyframe in keyframes:
        assert keyframe.image is not None, "the sampler was asked for keyframe images"
        frames.append(Frame(keyframe.image, keyframe.timestamp_seconds, video_id))
    for frame, people in zip(frames, find_people(detector, frames), strict=True):
        height, width = frame.image.shape[:2]
        inside = box_ops.clip(box_ops.pixels_to_fractions(people.boxes_xyxy, width, height), 1, 1).astype(np.float32)
        yield PersonBoxes(inside, people.scores)[box_ops.areas(inside) > 0]


def _rows(video_id: str, seconds: Sequence[float], people: Sequence[PersonBoxes]) -> AvaTable:
    """A row per person; for a video without people, a row per keyframe that only lists it."""
    counts = [len(boxes) for boxes in people]
    if not sum(counts):
        return AvaTable.from_columns([video_id] * len(seconds), seconds, np.full((len(seconds), 4), np.nan))
    return AvaTable.from_columns(
        [video_id] * sum(counts),
        np.repeat(seconds, counts),
        shortest_decimals(np.concatenate([boxes.boxes_xyxy for boxes in people])),
        scores=shortest_decimals(np.concatenate([boxes.scores for boxes in people])),
    )
