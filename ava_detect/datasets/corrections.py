"""The keyframes of a folder of corrections as training data: which are learnt from, which are held out, their videos.

Times of corrections count from the start of each video file, those of annotations from the start of its movie
(``data.start_seconds``); here all are in seconds of the movie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ava_detect.config import Config, CorrectionsConfig, SplitConfig
from ava_detect.config.build import label_map_of
from ava_detect.datasets.clip_sources import ClipSource, FrameClips, JoinedClips, VideoClips
from ava_detect.errors import ConfigError, FormatError, VideoError, counted, shown
from ava_detect.evaluation.keyframes import KeyframeKeys
from ava_detect.formats.ava_table import AvaTable
from ava_detect.results.corrections.truth import HeldOut, Part, ReviewedTruth, hold_out, read_reviewed
from ava_detect.results.saved import locate
from ava_detect.results.saved_run import SavedRun, open_run
from ava_detect.structures.labels import NO_ACTION, LabelMap
from ava_detect.structures.video_ids import ByVideoId
from ava_detect.video.sources import VideoFile, videos_by_id

_MOST_SHOWN = 3


@dataclass(frozen=True, eq=False)
class ReviewedData:
    """The reviewed keyframes of a config's ``data.corrections``.

    Attributes:
        files: The section of the config.
        truth: What the folder holds; times from the start of the file.
        held_out: Which keyframes are held out; times from the start of the file.
        videos: The video file of each video with reviewed keyframes.
        start_seconds: Start in its movie, in seconds, of each file whose name says no other.
    """

    files: CorrectionsConfig
    truth: ReviewedTruth
    held_out: HeldOut
    videos: ByVideoId[VideoFile]
    start_seconds: float

    @classmethod
    def of(cls, config: Config) -> ReviewedData | None:
        """Read the corrections of a config, and find their videos.

        Args:
            config: The config.

        Returns:
            The reviewed keyframes; None where the config names no corrections.

        Raises:
            FormatError: The corrections cannot be read, or none is accepted.
            ConfigError: They cannot be divided, or their actions or the start of their videos are not those of the
                config.
            VideoError: Videos are missing.
        """
        files = config.data.corrections
        if files is None:
            return None
        truth = read_reviewed(files.folder)
        if not truth.keyframes:
            changed = f" ({counted(truth.num_unaccepted, 'keyframe')} changed)" if truth.num_unaccepted else ""
            raise FormatError(
                f"{shown(files.folder)}: no keyframe is accepted{changed}; accept those that are right and complete in "
                "`ava-detect review`"
            )
        _check_names(truth.label_map, label_map_of(config), files.folder)
        gap_seconds = config.clip.settings().span_seconds
        held_out = hold_out(truth.keyframes, files.held_out, gap_seconds=gap_seconds)
        run = _recorded_run(truth.results)
        _check_start(run, config.data.start_seconds, files.folder)
        return cls(files, truth, held_out, _video_files(truth, files, run), config.data.start_seconds)

    def training_rows(self, annotations: AvaTable | None = None) -> AvaTable:
        """Return what is trained on.

        Args:
            annotations: The rows of the training split; None where there is none.

        Returns:
            The rows of the annotations that corrections do not replace and that are not held out, then those of the
            reviewed keyframes. A box of the results that overlaps no person is a negative for all actions.

        Raises:
            FormatError: No row has an action.
        """
        parts = [] if annotations is None else [self._beside(annotations)]
        parts += [self._in_movie_time(self._rows_of("train", rows)) for rows in (self.truth.rows, self.truth.rejected)]
        rows = AvaTable.concatenate(parts)
        if not (rows.action_ids != NO_ACTION).any():
            raise FormatError(
                f"{shown(self.files.folder)}: no person on the accepted keyframes that are trained on has an action; "
                "tick actions in `ava-detect review`"
            )
        return rows

    def held_out_rows(self) -> AvaTable:
        """Return the ground truth of the keyframes that are held out.

        Returns:
            Its rows.
        """
        return self._in_movie_time(self._rows_of("held_out", self.truth.rows))

    def clips(self, video_ids: Sequence[str], split: SplitConfig | None = None) -> ClipSource:
        """Return the source of the clips of videos.

        Args:
            video_ids: Ids of videos with reviewed keyframes and of videos of ``split``.
            split: The other split that the ids are of; None where there is none.

        Returns:
            The clips, in the order of the ids.

        Raises:
            VideoError: A video of the split is missing.
            ConfigError: The split and the corrections have different files of one id.
        """
        is_reviewed = [video_id in self.videos for video_id in video_ids]
        own = [self.videos[video_id] for video_id in video_ids if video_id in self.videos]
        starts = torch.tensor([self._start_of(file) for file in own], dtype=torch.float64)
        sources: list[ClipSource] = [VideoClips([str(file.path) for file in own], starts)]
        if split is not None:
            others = [video_id for video_id, own in zip(video_ids, is_reviewed, strict=True) if not own]
            sources.append(clips_of_split(split, others, self.start_seconds))
            self._check_same_files(split)
        return JoinedClips(sources, [0 if own else 1 for own in is_reviewed])

    def note(self, label_map: LabelMap) -> str:
        """Say what is trained on and what is left out.

        Args:
            label_map: The actions of the network.

        Returns:
            A sentence without a full stop.
        """
        parts = [self.held_out.part_of(*key) for key in self.truth.keyframes]
        videos = sorted({key[0] for key, part in zip(self.truth.keyframes, parts, strict=True) if part == "held_out"})
        text = f"{counted(parts.count('train'), 'reviewed keyframe')} of {shown(self.files.folder)} trained on"
        if videos:
            names = ", ".join(videos[:_MOST_SHOWN]) + (" and others" if len(videos) > _MOST_SHOWN else "")
            text += f", {parts.count('held_out')} held out ({shown(names)})"
        if between := parts.count("between"):
            text += f", {between} left out because their clips share frames with those"
        if self.truth.num_unaccepted:
            text += f"; left out: {counted(self.truth.num_unaccepted, 'keyframe')} changed but not accepted"
        if num_unknown := int((~np.isin(self.truth.rows.action_ids, [NO_ACTION, *label_map.ids])).sum()):
            text += f"; left out: {counted(num_unknown, 'label')} of actions that the network does not have"
        return "; ".join([text, *map(shown, self.truth.notices)])

    def _rows_of(self, part: Part, rows: AvaTable) -> AvaTable:
        """The rows of keyframes of one part; times from the start of the file."""
        parts = [
            self.held_out.part_of(rows.video_ids[video], seconds)
            for video, seconds in zip(rows.video_index.tolist(), rows.timestamps_seconds.tolist(), strict=True)
        ]
        return rows[np.array([of_row == part for of_row in parts], np.bool_)]

    def _beside(self, annotations: AvaTable) -> AvaTable:
        """The rows of annotations that are neither on a reviewed keyframe nor held out."""
        numbering = KeyframeKeys()
        reviewed = numbering.of_rows(self._in_movie_time(self.truth.rows))
        kept = ~np.isin(numbering.of_rows(annotations), reviewed)
        for index, video_id in enumerate(annotations.video_ids):
            if video_id in self.videos:
                start = self._start_of(self.videos[video_id])
                for row in np.flatnonzero(annotations.video_index == index).tolist():
                    seconds = float(annotations.timestamps_seconds[row]) - start
                    kept[row] &= self.held_out.part_of(video_id, seconds) == "train"
        return annotations[kept]

    def _in_movie_time(self, rows: AvaTable) -> AvaTable:
        starts = np.array([self._start_of(self.videos[video_id]) for video_id in rows.video_ids], np.float64)
        seconds = rows.timestamps_seconds + starts[rows.video_index] if len(rows) else rows.timestamps_seconds
        return AvaTable(
            rows.video_ids,
            rows.video_index,
            seconds,
            rows.boxes_fraction,
            rows.action_ids,
            rows.scores,
            rows.person_ids,
        )

    def _start_of(self, file: VideoFile) -> float:
        return self.start_seconds if file.start_seconds is None else file.start_seconds

    def _check_same_files(self, split: SplitConfig) -> None:
        """Refuse a video of the split that has the id of a reviewed one and is another file."""
        files = videos_by_id(split.videos) if split.videos is not None else ByVideoId[list[VideoFile]]()
        for video_id, own in self.videos.items():
            other = files[video_id][0].path if video_id in files else own.path
            if not other.samefile(own.path) and other.stat().st_size != own.path.stat().st_size:
                raise ConfigError(
                    f"the training split and the corrections both have a video {shown(video_id)!r}, but {shown(other)} "
                    f"and {shown(own.path)} are different files; give the videos different ids"
                )


def clips_of_split(split: SplitConfig, video_ids: Sequence[str], start_seconds: float) -> ClipSource:
    """Return the source of the clips of a split: video files or extracted frames, whichever it names.

    Args:
        split: The files of the split.
        video_ids: The videos.
        start_seconds: Start of each file in its movie, in seconds.

    Returns:
        The clips, in the order of the ids.

    Raises:
        VideoError: Videos are missing; names the annotations, too, since either can be the wrong one.
    """
    try:
        if split.videos is not None:
            return VideoClips.of_folder(split.videos, video_ids, start_seconds=start_seconds)
        assert split.frames is not None
        return FrameClips(split.frames, video_ids, start_seconds=start_seconds)
    except VideoError as error:
        raise VideoError(f"{error} (listed in {shown(split.annotations)})") from error


def _check_names(corrected: LabelMap, own: LabelMap, folder: str) -> None:
    """Refuse corrections whose actions have other names than the network's of the same id."""
    names = {action.id: action.name for action in own}
    for action in corrected:
        name = names.get(action.id, action.name)
        # A network whose actions have no names calls them by their number.
        if name.casefold() != action.name.casefold() and name != f"action {action.id}":
            raise ConfigError(
                f"action {action.id} is {shown(action.name)!r} in {shown(folder)} and {shown(name)!r} in the config; "
                "give the label map that belongs to the results (`labels.map`, `labels.ids`)"
            )


def _recorded_run(results: Path) -> SavedRun | None:
    """The run whose results were corrected; None where it is gone."""
    try:
        return open_run(results) if results.exists() else None
    except FormatError:
        return None


def _check_start(run: SavedRun | None, start_seconds: float, folder: str) -> None:
    """Refuse another start than the run's: what is held out could not be compared with its results."""
    recorded = start_seconds if run is None else run.start_seconds(None)
    if recorded != start_seconds:
        raise ConfigError(
            f"the results that {shown(folder)} corrects were written with a start of {recorded:g} s and "
            f"data.start_seconds is {start_seconds:g}; give the same (data.start_seconds={recorded:g})"
        )


def _video_files(truth: ReviewedTruth, files: CorrectionsConfig, run: SavedRun | None) -> ByVideoId[VideoFile]:
    """The file of each video with reviewed keyframes."""
    video_ids = list(dict.fromkeys(video_id for video_id, _ in truth.keyframes))
    known: ByVideoId[VideoFile] = ByVideoId()
    if files.videos is not None:
        known = ByVideoId((name, found[0]) for name, found in videos_by_id(files.videos).items())
    elif run is not None:
        places = ((video.video_id, locate(video.video_id, video.source, ())) for video in run.videos)
        known = ByVideoId((name, VideoFile(path)) for name, path in places if path is not None)
    missing = [name for name in video_ids if name not in known]
    if missing:
        names = ", ".join(missing[:_MOST_SHOWN]) + (" and others" if len(missing) > _MOST_SHOWN else "")
        where = shown(files.videos) if files.videos is not None else f"where {shown(truth.results)} has them"
        raise VideoError(
            f"{shown(files.folder)}: {len(missing)} of its {counted(len(video_ids), 'video')} are not {where}: "
            f"{shown(names)}; give the folder that holds them (`data.corrections.videos`)"
        )
    return ByVideoId((name, known[name]) for name in video_ids)
