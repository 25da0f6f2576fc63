"""Check a dataset before training: every fault by kind, with its locations and what to do about it.

``check_data`` checks the splits that a config names; ``check_splits`` checks files directly. ``checks.report.KINDS``
lists everything that can be found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ava_detect.config import Config, SplitConfig
from ava_detect.config.build import label_map_of
from ava_detect.datasets.checks.ava import AvaSplit
from ava_detect.datasets.checks.lists import ListSplit
from ava_detect.datasets.checks.report import DataReport
from ava_detect.datasets.checks.split import CheckedSplit
from ava_detect.datasets.checks.tubes import TubeSplit
from ava_detect.datasets.checks.videos import examine_all, frame_rates
from ava_detect.errors import ConfigError
from ava_detect.formats.proposal_pickles import is_pickle_file
from ava_detect.formats.tube_pickles import read_tube_annotations
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.progress import OnProgress

_KINDS_OF_DATASET = ("ava", "tubes", "kinetics", "charades")
_DEFAULT_SAMPLING_FPS = 30.0  # of extracted frames in PySlowFast's layout
_DEFAULT_MIN_FPS = 15.0  # every second frame of 30 a second, as AVA's networks sample


@dataclass(frozen=True)
class CheckSettings:
    """How the annotations of a dataset are to be understood.

    Attributes:
        kind: The format of the annotations.
        division: Number of the data set's division into training and test videos, from 1; tubes only.
        is_chosen: Whether the actions that are scored were chosen among the labels; tubes only.
        start_seconds: The start of each file in seconds of the movie that it was cut from; AVA only.
        min_proposal_score: Least score, 0 to 1, of the proposals that training uses; AVA and tubes only.
        min_fps: Frames per second that the network samples; videos with a lower rate are reported.
        sampling_fps: Frames per second of extracted frames.
    """

    kind: Literal["ava", "tubes", "kinetics", "charades"] = "ava"
    division: int = 1
    is_chosen: bool = False
    start_seconds: float = 0.0
    min_proposal_score: float = 0.0
    min_fps: float = _DEFAULT_MIN_FPS
    sampling_fps: float = _DEFAULT_SAMPLING_FPS

    def __post_init__(self) -> None:
        if self.kind not in _KINDS_OF_DATASET:
            raise ConfigError(f"`kind` must be one of {', '.join(_KINDS_OF_DATASET)}, got {self.kind!r}")


def check_data(
    config: Config, *, decode: bool = True, num_threads: int = 1, on_progress: OnProgress | None = None
) -> DataReport:
    """Check every split that a config names.

    Args:
        config: The config; ``config.data`` names annotations and videos.
        decode: Whether to decode every video to its end; otherwise only its header is read.
        num_threads: Number of videos examined in parallel, from 1.
        on_progress: Called after each video.

    Returns:
        The findings.

    Raises:
        ConfigError: If the config names no split.
    """
    data = config.data
    splits = {name: split for name, split in (("train", data.train), ("val", data.val)) if split is not None}
    if not splits:
        raise ConfigError("this config names no data; give data.train or data.val, with annotations and videos")
    label_map = label_map_of(config)
    known = LabelMap.from_pbtxt(config.labels.map) if config.labels.map else LabelMap.ava()
    # Actions of another world than AVA's: only the scored ones are known.
    if not set(label_map.ids) <= set(known.ids):
        known = label_map
    settings = CheckSettings(
        data.kind,
        division=data.split,
        is_chosen=bool(config.labels.ids),
        start_seconds=data.start_seconds,
        min_proposal_score=data.min_proposal_score,
        min_fps=config.clip.settings().frames_per_second,
        sampling_fps=config.clip.sampling_fps,
    )
    return check_splits(
        splits,
        label_map,
        settings,
        known_ids=known.ids,
        decode=decode,
        num_threads=num_threads,
        on_progress=on_progress,
    )


def actions_of_files(files: SplitConfig, label_map: str | Path | None) -> tuple[Literal["ava", "tubes"], LabelMap]:
    """Tell the kind of a data set of people, and its actions, from its files.

    Args:
        files: Its files; a pickle is one of tubes.
        label_map: A pbtxt of the actions; None for those of the pickle, or AVA's 80.

    Returns:
        The kind and the actions.

    Raises:
        FormatError: A file cannot be read.
    """
    is_pickle = is_pickle_file(files.annotations)
    if label_map is not None:
        actions = LabelMap.from_pbtxt(label_map)
    else:
        actions = read_tube_annotations(files.annotations).actions if is_pickle else LabelMap.ava()
    return "tubes" if is_pickle else "ava", actions


def check_splits(
    splits: Mapping[str, SplitConfig],
    label_map: LabelMap,
    settings: CheckSettings | None = None,
    *,
    known_ids: Iterable[int] | None = None,
    decode: bool = True,
    num_threads: int = 1,
    on_progress: OnProgress | None = None,
) -> DataReport:
    """Check the splits of a dataset.

    Faults of the data are never raised: they are in the report.

    Args:
        splits: The files of each split, by its name.
        label_map: The actions that are scored.
        settings: How the annotations are to be understood; by default those of ``CheckSettings()``.
        known_ids: The ids of all actions that may occur; by default those of ``label_map``. Others are reported as
            mistakes.
        decode: Whether to decode every video to its end; otherwise only its header is read.
        num_threads: Number of videos examined in parallel, from 1.
        on_progress: Called after each video.

    Returns:
        The findings and the counts of each split.

    Raises:
        ConfigError: If a Kinetics split names frames instead of videos.
    """
    settings = CheckSettings() if settings is None else settings
    known = frozenset(label_map.ids if known_ids is None else known_ids)
    loaded = [_load(name, files, label_map, settings) for name, files in splits.items()]
    for split in loaded:
        split.check_rows(known, label_map.ids)
    # Examine each file once, also where splits share it.
    paths = [path for split in loaded for path in split.paths.values()]
    facts = examine_all(
        paths, decode=decode, sampling_fps=settings.sampling_fps, num_threads=num_threads, on_progress=on_progress
    )
    for split in loaded:
        split.check_files(facts, settings.min_fps)
    _check_across(loaded)
    return DataReport(
        splits=tuple(split.summary(label_map, known) for split in loaded),
        findings=tuple(finding for split in loaded for finding in split.findings),
        frame_rates=frame_rates(facts.values()),
        class_names={action.id: action.name for action in label_map},
        decoded=decode,
    )


def _load(name: str, files: SplitConfig, label_map: LabelMap, settings: CheckSettings) -> CheckedSplit:
    """Read the annotations of a split and list its media."""
    if settings.kind == "ava":
        return AvaSplit(
            name, files, start_seconds=settings.start_seconds, min_proposal_score=settings.min_proposal_score
        )
    if settings.kind == "tubes":
        return TubeSplit(
            name,
            files,
            label_map,
            division=settings.division,
            is_chosen=settings.is_chosen,
            min_proposal_score=settings.min_proposal_score,
        )
    num_classes = len(label_map)
    return ListSplit(name, files, kind=settings.kind, num_classes=num_classes, sampling_fps=settings.sampling_fps)


def _check_across(splits: Sequence[CheckedSplit]) -> None:
    """Find what only all splits together can tell: videos in two splits, and files in none."""
    split_of: dict[str, str] = {}
    for split in splits:
        shared = [video for video in split.video_ids if video in split_of]
        split.note("split-leak", [f"{video} is in {split_of[video]} and in {split.name}" for video in shared])
        split_of |= {video: split.name for video in split.video_ids if video not in split_of}
    annotated = {path for split in splits for path in split.paths.values()}
    # Where splits share a folder, its unannotated files are reported once, under the last of them.
    for split in {split.folder: split for split in splits}.values():
        present = dict.fromkeys(file.path for files in split.media.values() for file in files)
        split.note("unannotated-video", [str(path) for path in present if path not in annotated])
