"""List the videos of saved results: where the results of each are on disk, and what was recorded about its source."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ava_detect.errors import FormatError, shown
from ava_detect.results.manifest import VideoRecord, read_manifest, read_summary
from ava_detect.results.results_file import RESULT_SUFFIXES, open_results
from ava_detect.storage.addresses import Address, is_address
from ava_detect.storage.file_names import MANIFEST


@dataclass(frozen=True)
class AnnotatedFile:
    """Metadata of a source video file, recorded when it was annotated; 0 where a value was not recorded.

    Attributes:
        num_bytes: Size of the file in bytes.
        fps: Frame rate, in frames per second.
        seconds: Duration in seconds.
    """

    num_bytes: int = 0
    fps: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class SavedVideo:
    """Where the results of one video are on disk, and what was recorded about its source file.

    Attributes:
        video_id: Id of the video.
        file: The results file; of several formats the most complete one. None where there are no results.
        source: Path of the video file at the time of annotation; None where unknown.
        annotated: Metadata of ``source`` at that time.
        address: Address of the video, where it was annotated from one; then ``source`` leads nowhere.
        cuts_seconds: Times of hard cuts (shot boundaries) in seconds from the start of the file, ascending; empty where
            they were not detected.
        message: Why the results are incomplete; empty where they are complete.
    """

    video_id: str
    file: Path | None
    source: Path | None = None
    annotated: AnnotatedFile = field(default_factory=AnnotatedFile)
    address: Address | None = None
    cuts_seconds: tuple[float, ...] = ()
    message: str = ""

    @classmethod
    def from_record(cls, record: VideoRecord, file: Path | None) -> SavedVideo:
        """Build from a video's record in the manifest or summary of a run.

        Args:
            record: The record of the video.
            file: The results file; None where there are no results.

        Returns:
            The video.
        """
        annotated = AnnotatedFile(record.source_bytes, record.source_fps, record.source_seconds)
        message = (
            record.message or record.warning or ("" if file is not None else "There are no results of this video.")
        )
        address = Address(record.source) if is_address(record.source) else None
        return cls(record.video_id, file, Path(record.source), annotated, address, record.cuts_seconds, message)


@dataclass(frozen=True)
class SavedRun:
    """The videos of a run, with its settings.

    Attributes:
        videos: The videos, failed ones included.
        settings: The settings of the run; empty where unknown.
        note: A warning about the results, such as that the weights are untrained; empty where there is none.
    """

    videos: tuple[SavedVideo, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    def start_seconds(self, given: float | None) -> float:
        """Return the time in the movie at which each video file starts.

        Args:
            given: A value in seconds that overrides the setting of the run; None for no override.

        Returns:
            The start in seconds; 0 where neither is known.
        """
        return float(self.settings.get("start_seconds", 0.0)) if given is None else given


def open_run(results: Path, *, allow_empty: bool = False) -> SavedRun:
    """List the videos of a results folder or results file.

    Args:
        results: The output folder of a run, another folder that holds results files, or one results file.
        allow_empty: Whether files without a row, such as the csv of a video without people, are results.

    Returns:
        The videos; with the settings and the note of the run where the folder has a manifest.

    Raises:
        FormatError: There are no results, or a file cannot be read.
    """
    if results.is_file():
        file = open_results(results)
        if not file.video_ids and not allow_empty:
            raise FormatError(f"{results}: the file is empty; give results with at least one keyframe")
        return SavedRun(tuple(SavedVideo(video_id, results) for video_id in file.video_ids))
    if not results.is_dir():
        raise FormatError(
            f"{shown(results)}: there is no such file or folder; give the output folder of `ava-detect annotate`"
        )
    run = run_of_manifest(results) or _from_files(results)
    if not run.videos and not (allow_empty and _has_results(results)):
        raise FormatError(
            f"{shown(results)} holds no results (NAME.jsonl, NAME.parquet or NAME.csv, or the run.json of a dataset); "
            "give the output folder of `ava-detect annotate`, or a file of results"
        )
    return run


def _has_results(folder: Path) -> bool:
    """Return whether a folder has the manifest of a run, or a file of results."""
    return (folder / MANIFEST).is_file() or any(any(folder.glob(f"*{suffix}")) for suffix in RESULT_SUFFIXES)


def run_of_manifest(folder: Path) -> SavedRun | None:
    """List the videos in the manifest of a folder, then those only in its summary (failed ones).

    Args:
        folder: The output folder of a run. Files of results are not looked at.

    Returns:
        The videos, with the settings and the note of the run; None without a manifest.

    Raises:
        FormatError: The manifest or the summary cannot be read.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    note, summary_records = read_summary(folder)
    records = manifest.records | {r.video_id: r for r in summary_records if r.video_id not in manifest.records}
    videos = (SavedVideo.from_record(record, _most_complete_file(folder, record)) for record in records.values())
    return SavedRun(tuple(videos), manifest.settings, note)


def _most_complete_file(folder: Path, record: VideoRecord) -> Path | None:
    """Return the video's results file in the most complete format; ``RESULT_SUFFIXES`` has the most complete first."""
    names = [name for suffix in RESULT_SUFFIXES for name in record.outputs if name.endswith(suffix)]
    return folder / names[0] if names else None


def _from_files(folder: Path) -> SavedRun:
    """List the videos of all results files in a folder; of several formats of a name, the most complete one is used."""
    path_by_name: dict[str, Path] = {}
    for suffix in RESULT_SUFFIXES:
        for path in sorted(folder.glob(f"*{suffix}")):
            path_by_name.setdefault(path.name.removesuffix(suffix), path)
    videos: dict[str, SavedVideo] = {}
    for _, path in sorted(path_by_name.items()):
        for video_id in open_results(path).video_ids:
            if video_id in videos:
                raise FormatError(
                    f"{shown(path)} and {shown(videos[video_id].file)} both hold results of {shown(video_id)}; give "
                    "one of these files"
                )
            videos[video_id] = SavedVideo(video_id, path)
    return SavedRun(tuple(videos.values()))
