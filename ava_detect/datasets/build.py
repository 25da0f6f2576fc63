"""Build the dataset that a config describes."""

from __future__ import annotations

from dataclasses import fields
from typing import Literal

from ava_detect.config import Config, DataConfig, SplitConfig
from ava_detect.config.build import label_map_of
from ava_detect.datasets.augmentation import Augmentation
from ava_detect.datasets.ava import AvaDataset
from ava_detect.datasets.base import ClipDataset
from ava_detect.datasets.charades import read_charades
from ava_detect.datasets.classification import ClassificationDataset, ViewGrid
from ava_detect.datasets.clip_sources import ClipSource, VideoClips
from ava_detect.datasets.corrections import ReviewedData, clips_of_split
from ava_detect.datasets.keyframe_table import keyframe_table, read_proposals
from ava_detect.datasets.kinetics import listed_files, read_kinetics
from ava_detect.datasets.packed import PackedStrings
from ava_detect.datasets.tubes import clips_of_tubes, ids_of_labels, tube_rows, videos_of, with_ids_of
from ava_detect.errors import ConfigError, VideoError, shown
from ava_detect.formats.annotation_files import read_ground_truth
from ava_detect.formats.ava_csv import read_ava_csv
from ava_detect.formats.ava_table import AvaTable
from ava_detect.formats.row_checks import check_boxes
from ava_detect.formats.tube_pickles import read_tube_annotations

Split = Literal["train", "val"]


def build_dataset(config: Config, split: Split, *, training: bool) -> ClipDataset:
    """Build the dataset of ``config.data.train`` or ``config.data.val``, with the keyframes of ``data.corrections``.

    Reviewed keyframes that are not held out belong to the training split, where they replace the annotations of the
    same keyframes. Those held out are the test split where the config names no other. All files are checked here,
    before the first sample is read.

    Args:
        config: The config; ``config.data`` names annotations and videos.
        split: The split to read.
        training: Whether samples are for training: with random augmentation and, of people, proposals in addition to
            the true boxes. Otherwise samples are what the network is tested on.

    Returns:
        The dataset.

    Raises:
        ConfigError: If the config does not name the split.
        FormatError: If the annotations cannot be used.
        VideoError: If videos are missing.
    """
    if config.data.kind == "ava":
        return _build_ava(config, split, training=training)
    if config.data.kind == "tubes":
        return _build_tubes(config, split, training=training)
    return _build_classification(config, _files_of(config, split), training=training)


def true_rows(config: Config, split: Split) -> AvaTable:
    """Read the true boxes and actions of a split of people.

    Args:
        config: The config.
        split: The split to read.

    Returns:
        The rows of the split's annotations, and of the reviewed keyframes that belong to it; timestamps in seconds of
        the movie, or numbers of frames of tubes.

    Raises:
        ConfigError: The config does not name the split.
        FormatError: The annotations or corrections cannot be used.
    """
    if config.data.kind == "tubes":
        return _true_tubes(config, split)[0]
    return _true_rows(config, split, ReviewedData.of(config))[0]


def _true_rows(config: Config, split: Split, reviewed: ReviewedData | None) -> tuple[AvaTable, SplitConfig | None, str]:
    """The true rows of a split, its files (None for corrections alone) and the name of its annotations."""
    data = config.data
    if split == "val" and reviewed is not None and data.is_validated_on_corrections:
        return reviewed.held_out_rows(), None, reviewed.files.folder
    if split == "train" and reviewed is not None and data.train is None:
        return reviewed.training_rows(), None, reviewed.files.folder
    files = _files_of(config, split)
    rows = read_ground_truth(files.annotations, start_seconds=data.start_seconds, actions_required=True)
    if split == "train" and reviewed is not None:
        check_boxes(rows, files.annotations)
        rows = reviewed.training_rows(rows)
    return rows, files, files.annotations


def _files_of(config: Config, split: Split) -> SplitConfig:
    files = config.data.train if split == "train" else config.data.val
    if files is None:
        raise ConfigError(
            f"the config names no data.{split}; give its annotations and its videos (data.{split}.videos)"
        )
    return files


def _build_ava(config: Config, split: Split, *, training: bool) -> AvaDataset:
    data, label_map = config.data, label_map_of(config)
    reviewed = ReviewedData.of(config)
    rows, files, origin = _true_rows(config, split, reviewed)
    table = keyframe_table(
        rows,
        origin,
        action_ids=label_map.ids,
        proposals=_proposals(files, data),
        exclude=None if files is None or files.exclude is None else read_ava_csv(files.exclude),
        match_iou=data.match_iou,
        training=training,
    )
    if files is None or (split == "train" and reviewed is not None):
        assert reviewed is not None
        clips = reviewed.clips(table.video_ids, files)
    else:
        clips = clips_of_split(files, table.video_ids, data.start_seconds)
    return AvaDataset(
        table,
        clips,
        label_map,
        config.clip.settings(),
        box_rule=config.model.roi.box_rule,
        augmentation=_augmentation(data) if training else None,
        seed=config.train.seed,
    )


def _true_tubes(config: Config, split: Split) -> tuple[AvaTable, SplitConfig]:
    """The true rows of a split of tubes, and its files."""
    files = _files_of(config, split)
    annotations = read_tube_annotations(files.annotations)
    is_chosen = bool(config.labels.ids)
    ids = ids_of_labels(annotations.label_map, label_map_of(config), files.annotations, is_chosen=is_chosen)
    videos = videos_of(annotations, split, config.data.split)
    return tube_rows(annotations, videos, ids, files.annotations), files


def _build_tubes(config: Config, split: Split, *, training: bool) -> AvaDataset:
    data, label_map = config.data, label_map_of(config)
    rows, files = _true_tubes(config, split)
    proposals = _proposals(files, data)
    exclude = None if files.exclude is None else read_ava_csv(files.exclude)
    table = keyframe_table(
        rows,
        files.annotations,
        action_ids=label_map.ids,
        proposals=None if proposals is None else with_ids_of(proposals, rows.video_ids),
        exclude=None if exclude is None else with_ids_of(exclude, rows.video_ids),
        match_iou=data.match_iou,
        training=training,
    )
    settings = config.clip.settings()
    return AvaDataset(
        table,
        clips_of_tubes(files, table.video_ids, settings),
        label_map,
        settings,
        box_rule=config.model.roi.box_rule,
        augmentation=_augmentation(data) if training else None,
        seed=config.train.seed,
    )


def _proposals(files: SplitConfig | None, data: DataConfig) -> AvaTable | None:
    if files is None or files.proposals is None:
        return None
    return read_proposals(files.proposals, data.min_proposal_score)


def _build_classification(config: Config, files: SplitConfig, *, training: bool) -> ClassificationDataset:
    data, num_classes = config.data, config.model.head.num_classes
    clips: ClipSource
    if data.kind == "kinetics":
        if files.videos is None:
            raise ConfigError("a list of Kinetics names video files: give their folder as videos, not frames")
        video_ids, labels = read_kinetics(files.annotations, num_classes)
        try:
            clips = VideoClips(listed_files(files.videos, video_ids))
        except VideoError as error:
            raise VideoError(f"{error} (listed in {shown(files.annotations)})") from error
    else:
        video_ids, labels = read_charades(files.annotations, num_classes, frames_per_second=config.clip.sampling_fps)
        clips = clips_of_split(files, video_ids, 0.0)
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


def _augmentation(data: DataConfig) -> Augmentation:
    return Augmentation(**data.model_dump(include={field.name for field in fields(Augmentation)}))
