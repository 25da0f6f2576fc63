"""Saved results of any kind, on this machine or at an address: a file, a folder of files, or a dataset."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol

from fsspec.implementations.local import LocalFileSystem

from ava_detect.errors import FormatError, shown
from ava_detect.results.collect import VideoRows, iter_videos
from ava_detect.results.dataset import ResultsDataset
from ava_detect.results.manifest import SUMMARY
from ava_detect.results.recorded_names import LABEL_MAP, label_map_of_settings
from ava_detect.results.results_file import RESULT_SUFFIXES, open_parquet_results
from ava_detect.results.saved import ReadOptions, SavedReader, SavedResults, read_run
from ava_detect.results.saved_run import SavedVideo, open_run, run_of_manifest
from ava_detect.storage.addresses import Address, address_of, is_address, without_secrets
from ava_detect.storage.file_names import MANIFEST
from ava_detect.storage.object_store import Store, download
from ava_detect.storage.retry import with_retries
from ava_detect.storage.scratch import scratch_folder

_DOWNLOADS_AT_ONCE = 8


class ResultsSource(Protocol):
    """Saved results of any number of videos.

    Attributes:
        name: Path or address of the results, without secrets.
        note: A warning about all of them, such as that the weights are untrained; empty where there is none.
    """

    name: str
    note: str

    def __len__(self) -> int:
        """Return the number of videos that have results."""

    def videos(self, only: str | None = None) -> Iterator[SavedResults]:
        """Read the results of one video after another; every call reads them anew.

        Args:
            only: Id of the one video that is wanted; None for all.

        Yields:
            The results of each video; nothing where ``only`` is not among them.

        Raises:
            FormatError: A file cannot be read.
        """


def open_source(results: str | Path | Address, options: ReadOptions | None = None) -> ResultsSource:
    """Open saved results.

    Args:
        results: Path or address of a csv, jsonl or Parquet file, of the output folder of a run or any other folder of
            such files, or of a dataset.
        options: Moved video files, label map and time offset; by default those recorded in the results.

    Returns:
        The results. Files at an address are copied into a temporary folder, which is removed with this value; those of
        a dataset are read when they are needed.

    Raises:
        FormatError: There are no results, or a file cannot be read.
        StoreError: The store of an address does not answer.
    """
    options = options or ReadOptions()
    if not is_address(results):
        return _open_local(Path(str(results)), options)
    address = results if isinstance(results, Address) else Address(str(results))
    try:
        return _open_address(address, options)
    except FileNotFoundError:
        raise FormatError(f"{shown(address)}: there are no results; check the address") from None
    except OSError as error:
        reason = shown(without_secrets(error.strerror or str(error)))
        raise FormatError(f"{shown(address)} cannot be read ({reason}); check the address and your rights") from None


def _open_address(address: Address, options: ReadOptions) -> ResultsSource:
    files, path = address.open()
    if isinstance(files, LocalFileSystem):
        return _open_local(Path(path), options)
    if with_retries(lambda: files.info(path), address)["type"] != "directory":
        return _Copied(address, options, is_folder=False)
    dataset = ResultsDataset(address)
    return (
        _Copied(address, options, is_folder=True)
        if dataset.about() is None
        else _Dataset(dataset, options, str(address))
    )


def _open_local(path: Path, options: ReadOptions) -> ResultsSource:
    if path.is_dir():
        dataset = ResultsDataset(address_of(path))
        if dataset.about() is not None:
            return _Dataset(dataset, options, str(path))
    return _Files(path, options, str(path))


class _Files:
    """A file of results, or a folder of them, on this machine."""

    def __init__(self, path: Path, options: ReadOptions, name: str) -> None:
        self.name = name
        self._run = open_run(path, allow_empty=True)
        self._options = options
        self.note = self._run.note

    def __len__(self) -> int:
        return sum(video.file is not None for video in self._run.videos)

    def videos(self, only: str | None = None) -> Iterator[SavedResults]:
        return read_run(self._run, self._options, only=only)


class _Copied:
    """A file or a folder of files at an address, copied into a folder that lives as long as this value."""

    def __init__(self, address: Address, options: ReadOptions, *, is_folder: bool) -> None:
        self.name = str(address)
        stack = ExitStack()
        weakref.finalize(self, stack.close)
        self._folder = stack.enter_context(scratch_folder(address))
        path = self._folder
        if is_folder:
            _copy_folder(Store(address), path)
        else:
            path /= address.name or "results"
            download(address, path)
        with self._naming_the_address():
            self._files = _Files(path, options, self.name)
        self.note = self._files.note

    def __len__(self) -> int:
        return len(self._files)

    def videos(self, only: str | None = None) -> Iterator[SavedResults]:
        with self._naming_the_address():
            yield from self._files.videos(only)

    @contextmanager
    def _naming_the_address(self) -> Iterator[None]:
        """Have errors name the address instead of the copy."""
        try:
            yield
        except FormatError as error:
            is_file = self.name.endswith(tuple(RESULT_SUFFIXES))
            copy = str(self._folder / PurePosixPath(self.name).name) if is_file else str(self._folder)
            raise FormatError(str(error).replace(copy, self.name)) from None


def _copy_folder(store: Store, folder: Path) -> None:
    """Copy what ``open_run`` reads of a folder: what it records, and of each video the most complete file."""
    for name in (MANIFEST, SUMMARY, LABEL_MAP):
        store.fetch(name, folder / name)
    run = run_of_manifest(folder)
    if run is not None:
        names = [video.file.relative_to(folder).as_posix() for video in run.videos if video.file is not None]
    else:
        listed, chosen = store.names(""), dict[str, str]()
        for suffix in RESULT_SUFFIXES:
            for name in listed:
                if name.endswith(suffix):
                    chosen.setdefault(name.removesuffix(suffix), name)
        names = list(chosen.values())
    with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
        # Through a list, so that an error of any of them is raised.
        list(pool.map(lambda name: store.fetch(name, folder / name), names))


class _Dataset:
    """A dataset, of any size: its videos are listed and read when they are needed."""

    def __init__(self, dataset: ResultsDataset, options: ReadOptions, name: str) -> None:
        about = dataset.about() or {}
        self.name = name
        self.note = str(about.get("note", ""))
        self._dataset = dataset
        self._label_map = label_map_of_settings(about["settings"])
        self._start_seconds = options.start_seconds
        self._reader = SavedReader(options, self.note)

    def __len__(self) -> int:
        return sum(not video.problem for video in self._dataset.stored_videos())

    def videos(self, only: str | None = None) -> Iterator[SavedResults]:
        for rows in iter_videos(self._dataset, None if only is None else [only], may_be_none=True):
            yield self._reader.read(
                SavedVideo.from_record(rows.record, Path(rows.name)),
                open_parquet_results(rows.content, rows.name),
                complete=self._label_map,
                start_seconds=_start_seconds(rows, self._start_seconds),
            )


def _start_seconds(rows: VideoRows, given: float | None) -> float:
    return rows.start_seconds if given is None else given
