"""Build the dataset that a config describes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Literal

from ava_detect.config import Config, DataConfig, SplitConfig
from ava_detect.config.build import label_map_of
from ava_detect.datasets.augmentation import Augmentation
from ava_detect.datasets.ava import AvaDataset
from ava_detect.datasets.base import ClipDataset
from ava_detect.datasets.charades import read_charades
from ava_detect.datasets.classification import ClassificationDataset, ViewGrid
from ava_detect.datasets.clip_sources import ClipSource, FrameClips, VideoClips
from ava_detect.datasets.keyframe_table import read_keyframe_table
from ava_detect.datasets.kinetics import listed_files, read_kinetics
from ava_detect.datasets.packed import PackedStrings
from ava_detect.errors import ConfigError, VideoError, shown

Split = Literal["train", "val"]


def build_dataset(config: Config, split: Split, *, training: bool) -> ClipDataset:
    """Build the dataset of ``config.data.train`` or ``config.data.val``.

    All files are checked here, before the first sample is read.

    Args:
        config: The config; ``config.data`` names annotations and videos.
        split: The split to read.
        training: Whether samples are for training: with random augmentation and, for AVA, proposals in addition to the
            true boxes. Otherwise samples are what the network is tested on.

    Returns:
        The dataset.

    Raises:
        ConfigError: If the config does not name the split.
        FormatError: If the annotations cannot be used.
        VideoError: If videos are missing.
    """
    files = config.data.train if split == "train" else config.data.val
    if files is None:
        raise ConfigError(
            f"the config names no data.{split}; give its annotations and its videos (data.{split}.videos)"
        )
    if config.data.kind == "ava":
        return _build_ava(config, files, training=training)
    return _build_classification(config, files, training=training)


def _build_ava(config: Config, files: SplitConfig, *, training: bool) -> AvaDataset:
    data, label_map = config.data, label_map_of(config)
    table = read_keyframe_table(
        files.annotations,
        action_ids=label_map.ids,
        proposals=files.proposals,
        exclude=files.exclude,
        min_proposal_score=data.min_proposal_score,
        match_iou=data.match_iou,
        start_seconds=data.start_seconds,
        training=training,
    )
    return AvaDataset(
        table,
        _clips_by_id(files, table.video_ids, data.start_seconds),
        label_map,
        config.clip.settings(),
        box_rule=config.model.roi.box_rule,
        augmentation=_augmentation(data) if training else None,
        seed=config.train.seed,
    )


def _build_classification(config: Config, files: SplitConfig, *, training: bool) -> ClassificationDataset:
    data, num_classes = config.data, config.model.head.num_classes
    clips: ClipSource
    if data.kind == "kinetics":
        if files.videos is None:
            raise ConfigError("a list of Kinetics names video files: give their folder as videos, not frames")
        video_ids, labels = read_kinetics(files.annotations, num_classes)
        with _annotations_named(files):
            clips = VideoClips(listed_files(files.videos, video_ids))
    else:
        video_ids, labels = read_charades(files.annotations, num_classes, frames_per_second=config.clip.sampling_fps)
        clips = _clips_by_id(files, video_ids, 0.0)
    num_clips, num_crops = data.test_views
    return ClassificationDataset(
        PackedStrings.of(video_ids),
        clips,
        labels,
        label_map_of(config),
        config.clip.settings(),
        # PySlowFast places the test clips of the two datasets differently.
        views=ViewGrid(num_clips, num_crops, last_clip_at_end=data.kind == "charades"),
        augmentation=_augmentation(data) if training else None,
        seed=config.train.seed,
    )


def _clips_by_id(files: SplitConfig, video_ids: Sequence[str], start_seconds: float) -> ClipSource:
    """Return the source of the clips: video files or extracted frames, whichever the split names."""
    with _annotations_named(files):
        if files.videos is not None:
            return VideoClips.of_folder(files.videos, video_ids, start_seconds=start_seconds)
        assert files.frames is not None
        return FrameClips(files.frames, video_ids, start_seconds=start_seconds)


@contextmanager
def _annotations_named(files: SplitConfig) -> Iterator[None]:
    """Name the annotations of a split where the videos that they list are missing: either can be the wrong one."""
    try:
        yield
    except VideoError as error:
        raise VideoError(f"{error} (listed in {shown(files.annotations)})") from error


def _augmentation(data: DataConfig) -> Augmentation:
    return Augmentation(**data.model_dump(include={field.name for field in fields(Augmentation)}))
