"""Which tool a file of labels is from: by its content, whatever its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ava_detect.errors import FormatError, shown, suggestion
from ava_detect.results.importing.ava_like_csv import is_ava_like_csv, read_ava_like_csv
from ava_detect.results.importing.boris import is_boris, read_boris
from ava_detect.results.importing.coco import is_coco, read_coco
from ava_detect.results.importing.corrections import is_corrections, read_corrections
from ava_detect.results.importing.cvat import is_cvat, read_cvat
from ava_detect.results.importing.elan import is_elan, read_elan
from ava_detect.results.importing.fiftyone import is_fiftyone, read_fiftyone
from ava_detect.results.importing.file_start import FileStart, look_at
from ava_detect.results.importing.intervals_csv import is_intervals, read_intervals
from ava_detect.results.importing.label_studio import is_label_studio, read_label_studio
from ava_detect.results.importing.labels import ToolLabels
from ava_detect.results.importing.mmaction2 import is_mmaction2, read_mmaction2
from ava_detect.results.importing.via import is_via, read_via
from ava_detect.results.importing.videos import VideoLookup

AUTO = "auto"


@dataclass(frozen=True)
class Source:
    """A tool whose files are read.

    Attributes:
        title: The tool and its formats, for messages.
        recognise: Tells from the outside of a file whether it is from the tool.
        read: Reads a file of the tool.
    """

    title: str
    recognise: Callable[[FileStart], bool]
    read: Callable[[Path, VideoLookup], ToolLabels]


#: In the order in which they are tried: those with the most distinct layouts first, plain tables last.
SOURCES: Mapping[str, Source] = {
    "corrections": Source("the folder that `ava-detect review` writes", is_corrections, read_corrections),
    "cvat": Source("CVAT xml (for video, for images, or zipped)", is_cvat, read_cvat),
    "elan": Source("ELAN eaf", is_elan, read_elan),
    "boris": Source("BORIS project, or its tabular or aggregated events", is_boris, read_boris),
    "intervals": Source("the csv of hand-over --to intervals", is_intervals, read_intervals),
    "label-studio": Source("Label Studio JSON and JSON_MIN", is_label_studio, read_label_studio),
    "coco": Source("COCO json with images and annotations", is_coco, read_coco),
    "fiftyone": Source("FiftyOne datasets (the folder, or its json)", is_fiftyone, read_fiftyone),
    "via": Source("VIA 2 and 3 (csv, json)", is_via, read_via),
    "mmaction2": Source("mmaction2's pickles", is_mmaction2, read_mmaction2),
    "csv": Source("csv of boxes with actions", is_ava_like_csv, read_ava_like_csv),
}


def recognize(path: str | Path) -> str:
    """Find the tool that a file of labels is from.

    Args:
        path: The file, or a folder that a tool exports.

    Returns:
        A key of ``SOURCES``.

    Raises:
        FormatError: The file cannot be read, or is of no tool that is read; says what was seen and what is read.
    """
    start = look_at(path)
    for name, source in SOURCES.items():
        if source.recognise(start):
            return name
    titles = ", ".join(source.title for source in SOURCES.values())
    advice = "give the files in it" if start.kind == "folder" else "if it is one of them, name it (`source`)"
    raise FormatError(
        f"{shown(path)}: not recognised as labels of a tool; it is {start.describe()}. These are read: {titles}; "
        f"{advice}"
    )


def source_of(path: str | Path, source: str) -> str:
    """Return the tool of a file: as the caller says, or as the file shows.

    Args:
        path: The file.
        source: A key of ``SOURCES``, or ``auto``.

    Returns:
        A key of ``SOURCES``.

    Raises:
        FormatError: ``source`` is unknown; or it is ``auto``, and the file is of no tool that is read.
    """
    if source == AUTO:
        return recognize(path)
    if source not in SOURCES:
        names = [AUTO, *SOURCES]
        raise FormatError(f"`source` is {', '.join(names)}, got {shown(source)!r}{suggestion(source, names)}")
    return source
