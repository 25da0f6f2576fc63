"""Looking at a data set before anything is trained on it: every fault by name, with its place and what to do.

``check_data`` takes a config and looks at each split in it, ``check_splits`` takes the files themselves.
``check_report.KINDS`` lists what can be found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from ava_detect.config import Config, SplitConfig
from ava_detect.config.build import label_map_of
from ava_detect.datasets.checks.ava import AvaSplit
from ava_detect.datasets.checks.lists import ListSplit
from ava_detect.datasets.checks.report import DataReport
from ava_detect.datasets.checks.split import CheckedSplit
from ava_detect.datasets.checks.videos import examine_all, frame_rates
from ava_detect.errors import ConfigError
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.progress import OnProgress

_LEAST_FPS = 15.0  # 30 frames a second of which every second one is looked at, as AVA's networks do


def check_data(
    config: Config, *, decode: bool = True, num_threads: int = 1, on_progress: OnProgress | None = None
) -> DataReport:
    """Check every split that a config names; see ``check_splits``. ``ConfigError`` when it names none."""
    data = config.data
    splits = {name: split for name, split in (("train", data.train), ("val", data.val)) if split is not None}
    if not splits:
        raise ConfigError("this config names no data; give data.train or data.val, with annotations and videos")
    label_map = label_map_of(config)
    known = LabelMap.from_pbtxt(config.labels.map) if config.labels.map else LabelMap.ava()
    if not set(label_map.ids) <= set(known.ids):
        known = label_map
    return check_splits(
        splits,
        label_map,
        kind=data.kind,
        known_ids=known.ids,
        start_seconds=data.start_seconds,
        min_proposal_score=data.min_proposal_score,
        least_fps=config.clip.sampling_fps / config.clip.sampling_rate,
        decode=decode,
        num_threads=num_threads,
        on_progress=on_progress,
    )


def check_splits(
    splits: Mapping[str, SplitConfig],
    label_map: LabelMap,
    *,
    kind: Literal["ava", "kinetics", "charades"] = "ava",
    known_ids: Iterable[int] | None = None,
    start_seconds: float = 0.0,
    min_proposal_score: float = 0.0,
    least_fps: float = _LEAST_FPS,
    decode: bool = True,
    num_threads: int = 1,
    on_progress: OnProgress | None = None,
) -> DataReport:
    """Check the splits of a data set, by name.

    ``label_map``: the actions that are scored; ``known_ids``: all that are none of a typist's mistakes, by default the
    same. ``start_seconds``: where in its movie each file starts. ``least_fps``: fewer frames a second are reported.
    ``decode``: read every video to its end, ``num_threads`` at a time; else its header alone is believed.
    ``on_progress`` is told of the videos. Raises nothing on account of the data: what is wrong is in the report.
    """
    known = frozenset(label_map.ids if known_ids is None else known_ids)
    loaded: list[CheckedSplit] = []
    for name, files in splits.items():
        if kind == "ava":
            ava = AvaSplit(name, files, start_seconds=start_seconds, min_proposal_score=min_proposal_score)
            loaded.append(ava)
        else:
            loaded.append(ListSplit(name, files, kind=kind, num_classes=len(label_map)))
    for split in loaded:
        split.check_rows(known)
    wanted = [path for split in loaded for path in split.paths.values()]
    facts = examine_all(wanted, decode=decode, num_threads=num_threads, on_progress=on_progress)
    for split in loaded:
        split.check_files(facts, least_fps)
    _check_across(loaded)
    return DataReport(
        splits=tuple(split.summary(label_map, known) for split in loaded),
        findings=tuple(finding for split in loaded for finding in split.findings),
        frame_rates=frame_rates(facts.values()),
        class_names={action.id: action.name for action in label_map},
        decoded=decode,
    )


def _check_across(splits: Sequence[CheckedSplit]) -> None:
    """What only several splits together tell: videos in two of them, and files in none."""
    split_of: dict[str, str] = {}
    for split in splits:
        shared = [video for video in split.video_ids if video in split_of]
        split.note("split-leak", [f"{video} is in {split_of[video]} and in {split.name}" for video in shared])
        split_of |= {video: split.name for video in split.video_ids if video not in split_of}
    annotated = {path for split in splits for path in split.paths.values()}
    # Of the splits that share a folder the last one speaks.
    for split in {split.folder: split for split in splits}.values():
        present = dict.fromkeys(place.path for places in split.media.values() for place in places)
        split.note("unannotated-video", [str(path) for path in present if path not in annotated])
