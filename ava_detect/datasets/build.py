"""From a config to the data set that it describes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ava_detect.config import Config, DataConfig, SplitConfig
from ava_detect.config.build import label_map_of
from ava_detect.datasets.augmentation import Augmentation
from ava_detect.datasets.ava import AvaDataset
from ava_detect.datasets.base import ClipDataset
from ava_detect.datasets.charades import read_charades
from ava_detect.datasets.classification import ClassificationDataset
from ava_detect.datasets.clip_sources import ClipSource, FrameClips, VideoClips
from ava_detect.datasets.keyframes import read_keyframes
from ava_detect.datasets.kinetics import listed_files, read_kinetics
from ava_detect.datasets.packed import PackedStrings
from ava_detect.errors import ConfigError
from ava_detect.structures import ClipSettings

Split = Literal["train", "val"]


def build_dataset(config: Config, split: Split, *, training: bool) -> ClipDataset:
    """The samples of ``config.data.train`` or ``config.data.val``.

    ``training``: with the random changes of the recipe, and, for AVA, proposals beside the true boxes; else as the
    network is tested. Raises ``ConfigError`` when the config names no such split, ``FormatError`` for annotations that
    cannot be used, ``VideoError`` when videos are missing: before the first sample is asked for.
    """
    files = config.data.train if split == "train" else config.data.val
    if files is None:
        raise ConfigError(
            f"the config names no data.{split}; give its annotations and its videos (data.{split}.videos)"
        )
    if config.data.kind == "ava":
        return _ava(config, files, training=training)
    return _classification(config, files, training=training)


def _ava(config: Config, files: SplitConfig, *, training: bool) -> AvaDataset:
    data, label_map = config.data, label_map_of(config)
    table = read_keyframes(
        files.annotations,
        action_ids=label_map.ids,
        proposals=files.proposals,
        exclude=files.exclude,
        min_proposal_score=data.min_proposal_score,
        match_iou=data.match_iou,
        training=training,
    )
    return AvaDataset(
        table,
        _clips_by_id(files, table.video_ids, data.start_seconds),
        label_map,
        ClipSettings(**config.clip.model_dump()),
        augmentation=_augmentation(data) if training else None,
        seed=config.train.seed,
    )


def _classification(config: Config, files: SplitConfig, *, training: bool) -> ClassificationDataset:
    data, num_classes = config.data, config.model.head.num_classes
    clips: ClipSource
    if data.kind == "kinetics":
        if files.videos is None:
            raise ConfigError("a list of Kinetics names video files: give their folder as videos, not frames")
        video_ids, labels = read_kinetics(files.annotations, num_classes)
        clips = VideoClips(listed_files(files.videos, video_ids))
    else:
        video_ids, labels = read_charades(files.annotations, num_classes, frames_per_second=config.clip.sampling_fps)
        clips = _clips_by_id(files, video_ids, 0.0)
    return ClassificationDataset(
        PackedStrings.of(video_ids),
        clips,
        labels,
        label_map_of(config),
        ClipSettings(**config.clip.model_dump()),
        test_views=data.test_views,
        last_view_at_end=data.kind == "charades",
        augmentation=_augmentation(data) if training else None,
        seed=config.train.seed,
    )


def _clips_by_id(files: SplitConfig, video_ids: Sequence[str], start_seconds: float) -> ClipSource:
    if files.videos is not None:
        return VideoClips.of_folder(files.videos, video_ids, start_seconds=start_seconds)
    assert files.frames is not None
    return FrameClips(files.frames, video_ids, start_seconds=start_seconds)


def _augmentation(data: DataConfig) -> Augmentation:
    return Augmentation(data.short_side, data.crop, data.flip, data.color_jitter, data.min_visible)
