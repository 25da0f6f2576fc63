"""Saved results, opened with one call: a file, a folder or a dataset, on this machine or at an address."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ava_detect.errors import AvaDetectError, counted, shown, suggestion
from ava_detect.results.saved import ReadOptions, SavedResults
from ava_detect.results.source import open_source
from ava_detect.storage.addresses import Address
from ava_detect.structures import Frame
from ava_detect.visualization.keyframe_result import KeyframeResult, RGBImage
from ava_detect.visualization.video_result import VideoResult

if TYPE_CHECKING:
    import pandas as pd

# Names that are compared with an unknown one.
_MAX_NAMES = 1000
# Videos among which one with people is looked for, to show a picture.
_MAX_EXAMPLES = 10


def read_results(
    results: str | Path | Address,
    *,
    videos: str | Path | None = None,
    label_map: str | Path | None = None,
    start_seconds: float | None = None,
) -> ResultSet:
    """Open saved results, as ``annotate_videos`` or another tool wrote them.

    Args:
        results: Path or address (``s3://`` ...) of a csv, jsonl or Parquet file, of the output folder of a run or any
            other folder of such files, or of a dataset.
        videos: The folder that now holds the video files, for pictures; by default they are looked for where they were
            annotated.
        label_map: A ``.pbtxt`` file with the names of the actions; by default the names in the results.
        start_seconds: Time in the movie, in seconds, at which each video file starts, subtracted from the timestamps of
            csv files; by default that of the run.

    Returns:
        The results of all videos, which are read from their files when they are needed.

    Raises:
        FormatError: There are no results, or they cannot be read.
        VideoError: ``videos`` does not exist, or holds no video.
        StoreError: The store of an address does not answer.

    Example:
        >>> results = read_results("results")
        >>> results.to_pandas(min_score=0.5)
        >>> for video in results:
        ...     for keyframe in video:
        ...         print(video.video_id, keyframe.timestamp_seconds, len(keyframe))
    """
    return ResultSet(results, videos=videos, label_map=label_map, start_seconds=start_seconds)


class ResultSet:
    """The results of any number of videos; iterating reads one video after another.

    ``results["movie"]`` is the video of that name, ``results[0]`` the first one. ``read_results`` makes this value and
    describes its arguments.

    Args:
        results: Path or address of the results.
        videos: The folder that now holds the video files; None where they have not been moved.
        label_map: A ``.pbtxt`` file with the names of the actions; None for the names in the results.
        start_seconds: Time in the movie, in seconds, at which each video file starts; None for that of the run.
    """

    def __init__(
        self,
        results: str | Path | Address,
        *,
        videos: str | Path | None = None,
        label_map: str | Path | None = None,
        start_seconds: float | None = None,
    ) -> None:
        self._source = open_source(results, ReadOptions(videos, label_map, start_seconds))
        self._only: tuple[str, ...] | None = None

    def only(self, *video_ids: str) -> ResultSet:
        """Select videos by their names.

        Args:
            video_ids: The names; those that the results lack are passed over.

        Returns:
            The results of these videos.
        """
        selected = copy(self)
        selected._only = video_ids
        return selected

    @property
    def name(self) -> str:
        """Path or address of the results."""
        return self._source.name

    @property
    def note(self) -> str:
        """A warning about all scores, such as that the weights are untrained; empty where there is none."""
        return self._source.note

    @property
    def video_ids(self) -> tuple[str, ...]:
        """Names of the videos, read from the results themselves."""
        return tuple(video.video_id for video in self)

    def __len__(self) -> int:
        return len(self._source) if self._only is None else sum(1 for _ in self)

    def __iter__(self) -> Iterator[VideoResult]:
        return self._videos()

    def _videos(self, only: str | None = None) -> Iterator[VideoResult]:
        for saved in self._source.videos(only):
            if self._only is None or saved.video_id in self._only:
                yield _video_result(saved)

    def _example(self) -> VideoResult | None:
        """The first video with people, if one of the first few has any; else the first."""
        videos = list(islice(self, _MAX_EXAMPLES))
        return next((video for video in videos if video.num_boxes), videos[0] if videos else None)

    def __getitem__(self, video: str | int) -> VideoResult:
        """Return one video, by its name or by its position."""
        if isinstance(video, int):
            position = video if video >= 0 else len(self) + video
            found = next(islice(self, position, None), None) if position >= 0 else None
            if found is None:
                raise IndexError(f"{self.name} holds {counted(len(self), 'video', 'videos')}, there is no {video}")
            return found
        for result in self._videos(video):
            return result
        names = [result.video_id for result in islice(self, _MAX_NAMES)]
        raise KeyError(f"{self.name} holds no video {video!r}{suggestion(video, names)}")

    def to_pandas(self, *, min_score: float = 0.0, wide: bool = False) -> pd.DataFrame:
        """Convert to one table with the columns of ``NAME.parquet``, one row per person and action.

        Args:
            min_score: Smallest action score to keep, in 0..1.
            wide: One row per person and keyframe instead, with a column of scores for each action; NaN below
                ``min_score`` and where the results do not list the action.

        Returns:
            The table, video after video; without people it has no row, and the same columns.

        Raises:
            ConfigError: ``min_score`` is no score.
            FormatError: A file cannot be read.
        """
        import pandas as pd

        from ava_detect.formats.data_frame import action_frame, person_frame
        from ava_detect.structures.labels import LabelMap

        frames = [video.to_pandas(min_score=min_score, wide=wide) for video in self]
        filled = [frame for frame in frames if len(frame)]
        if filled:
            return pd.concat(filled, ignore_index=True)
        return frames[0] if frames else person_frame([], LabelMap(())) if wide else action_frame([])

    def to_dict(self, *, min_score: float = 0.0) -> dict[str, Any]:
        """Convert to plain values.

        Args:
            min_score: Smallest action score to keep, in 0..1.

        Returns:
            ``{"results", "note", "videos"}``, each video as ``VideoResult.to_dict`` gives it.

        Raises:
            ConfigError: ``min_score`` is no score.
            FormatError: A file cannot be read.
        """
        return {
            "results": self.name,
            "note": self.note,
            "videos": [video.to_dict(min_score=min_score) for video in self],
        }

    def draw(self, frame: Frame | None = None) -> RGBImage:
        """Draw the people on a frame of one of the videos, or keyframes of the first video with people on one sheet.

        Args:
            frame: A frame with its time and the name of its video, as ``VideoReader`` gives them.

        Returns:
            The drawn image, uint8 RGB ``[H, W, 3]``.

        Raises:
            AvaDetectError: There is no such video, or it is not known where its file is.
        """
        if not (frame is None or isinstance(frame, Frame)):
            raise AvaDetectError(f"`frame` is a Frame with its time and its video, got {type(frame).__name__}")
        video = self._example() if frame is None else next(self._videos(frame.video_id), None)
        if video is None:
            wanted = "video" if frame is None else f"video {frame.video_id!r}"
            raise AvaDetectError(f"{shown(self.name)} holds no {wanted}, so there is nothing to draw")
        return video.draw(frame)

    def show(self) -> None:
        """Show a sheet of drawn keyframes of the first video with people: in a notebook, or as an image file.

        Raises:
            AvaDetectError: There is no video, it is not known where its file is, or there is no screen.
        """
        from ava_detect.visualization.notebook import show_image

        show_image(self.draw())

    def __repr__(self) -> str:
        return f"ResultSet({self.name!r}, videos={len(self)})"

    def _repr_html_(self) -> str:
        from ava_detect.visualization.notebook import paragraph

        example = self._example()
        title = f"{shown(self.name)}: {counted(len(self), 'video', 'videos')}"
        more = f"and {counted(len(self) - 1, 'more video', 'more videos')}: iterate over them" if len(self) > 1 else ""
        body = "" if example is None else example._repr_html_()
        return paragraph(title) + body + paragraph(more)


def _video_result(saved: SavedResults) -> VideoResult:
    """Join the saved results of a video with their label map and their video."""
    source = saved.source or saved.address
    keyframes = tuple(
        KeyframeResult.of(keyframe, saved.label_map, source, note=saved.note, is_complete=False)
        for keyframe in saved.keyframes
    )
    return VideoResult(saved.video_id, keyframes, saved.label_map, source, saved.note, saved.message)
