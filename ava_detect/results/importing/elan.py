"""ELAN's ``.eaf`` files (https://archive.mpi.nl/tla/elan): who does what, from when to when.

A tier is of its participant, or of the person in its name before a colon; the value of an annotation is the action. A
tier of the linguistic type ``presence`` says when the person is in the picture. Annotations that refer to others have
the times of those. Times are those of the first linked media file, whose origin may be shifted.

Source: the schema EAFv3.0.xsd.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

from ava_detect.errors import FormatError, shown
from ava_detect.results.export.elan import PRESENCE_TYPE, VIDEO_ID_PROPERTY
from ava_detect.results.importing.file_start import FileStart
from ava_detect.results.importing.labels import ToolLabels, VideoIntervals, finite_number
from ava_detect.results.importing.videos import VideoLookup
from ava_detect.results.importing.xml_files import read_xml

_ROOT = "ANNOTATION_DOCUMENT"
_SECONDS_OF_UNIT = {"milliseconds": 1e-3, "PAL-frames": 1 / 25, "NTSC-frames": 1001 / 30000}
_LONGEST_CHAIN = 100


class _Annotation(NamedTuple):
    """An annotation with a time of its own."""

    value: str
    start: float
    end: float


def is_elan(start: FileStart) -> bool:
    """Tell whether a file is ELAN's.

    Args:
        start: Its outside.

    Returns:
        True for xml whose outermost element is ``ANNOTATION_DOCUMENT``.
    """
    return start.kind == "xml" and start.root == _ROOT


def read_elan(path: Path, videos: VideoLookup) -> ToolLabels:
    """Read the intervals of an ELAN file.

    Args:
        path: The ``.eaf`` file.
        videos: Not needed: the results have the times of the video.

    Returns:
        The intervals of one video, and the entries of the controlled vocabularies as the actions.

    Raises:
        FormatError: The file cannot be read, or a time is no number; names the file and the entry.
    """
    del videos
    root = read_xml(path)
    if root.tag != _ROOT:
        raise FormatError(f"{shown(path)}: <{shown(root.tag)[:40]}> is no file of ELAN; it begins with <{_ROOT}>")
    header = root.find("HEADER")
    header = Element("HEADER") if header is None else header
    vocabularies = _vocabularies(root)
    types = {
        kind.get("LINGUISTIC_TYPE_ID", ""): kind.get("CONTROLLED_VOCABULARY_REF", "")
        for kind in root.findall("LINGUISTIC_TYPE")
    }
    tiers = root.findall("TIER")
    of_tiers = dict.fromkeys(types.get(tier.get("LINGUISTIC_TYPE_REF", ""), "") for tier in tiers)
    chosen = of_tiers if any(name in vocabularies for name in of_tiers) else dict.fromkeys(vocabularies)
    names = dict.fromkeys(value for name in chosen for value in vocabularies.get(name, {}).values())
    labels = ToolLabels(action_names=tuple(names))
    times = _Times(root, _seconds_per_unit(header, path), _origin_seconds(header, path), path)
    video = VideoIntervals(_video_names(header, path))
    for tier in tiers:
        person = video.person(_person_of(tier))
        kind = tier.get("LINGUISTIC_TYPE_REF", "")
        entries = vocabularies.get(types.get(kind, ""), {})
        found = [a for one in tier.iter() for a in _annotations(one, entries, times, labels.dropped)]
        if kind == PRESENCE_TYPE:
            person.present = [*(person.present or ()), *((one.start, one.end) for one in found)]
        else:
            person.actions += _with_values(found, labels.dropped)
    labels.intervals.append(video)
    return labels


class _Times:
    """The times of annotations.

    Args:
        root: The document.
        seconds_per_unit: Seconds of one unit of the time slots.
        origin_seconds: Time of the media file at time 0 of the document.
        path: The file, for messages.
    """

    def __init__(self, root: Element, seconds_per_unit: float, origin_seconds: float, path: Path) -> None:
        self._slots: dict[str, float] = {}
        for slot in root.iterfind("TIME_ORDER/TIME_SLOT"):
            name, value = slot.get("TIME_SLOT_ID", ""), slot.get("TIME_VALUE")
            if value is not None:
                time = finite_number(value, "TIME_VALUE", f"{shown(path)}, time slot {shown(name)[:40]}")
                self._slots[name] = time * seconds_per_unit + origin_seconds
        self._aligned: dict[str, tuple[str, str]] = {}
        self._parents: dict[str, str] = {}
        for one in root.iter("ALIGNABLE_ANNOTATION"):
            ends = one.get("TIME_SLOT_REF1", ""), one.get("TIME_SLOT_REF2", "")
            self._aligned[one.get("ANNOTATION_ID", "")] = ends
        for one in root.iter("REF_ANNOTATION"):
            self._parents[one.get("ANNOTATION_ID", "")] = one.get("ANNOTATION_REF", "")

    def of(self, annotation: Element) -> tuple[float, float] | None:
        """Return start and end of an annotation, or of the one that it refers to; None where they are not set."""
        name = annotation.get("ANNOTATION_ID", "")
        if annotation.tag == "ALIGNABLE_ANNOTATION":
            ends = annotation.get("TIME_SLOT_REF1", ""), annotation.get("TIME_SLOT_REF2", "")
        else:
            for _ in range(_LONGEST_CHAIN):
                if name not in self._parents:
                    break
                name = self._parents[name]
            if name not in self._aligned:
                return None
            ends = self._aligned[name]
        first, last = ends
        return (self._slots[first], self._slots[last]) if first in self._slots and last in self._slots else None


def _annotations(
    element: Element, entries: Mapping[str, str], times: _Times, dropped: Counter[str]
) -> Iterator[_Annotation]:
    """Yield the annotation of an element of a tier, if it is one that has times."""
    if element.tag not in ("ALIGNABLE_ANNOTATION", "REF_ANNOTATION"):
        return
    if element.get("PREVIOUS_ANNOTATION") is not None:
        dropped["annotations that divide another one without times of their own"] += 1
        return
    span = times.of(element)
    if span is None:
        dropped["annotations without a time"] += 1
    elif span[1] <= span[0]:
        dropped["annotations that end where they start, or before"] += 1
    else:
        value = " ".join((element.findtext("ANNOTATION_VALUE") or "").split())
        yield _Annotation(value or entries.get(element.get("CVE_REF", ""), ""), *span)


def _with_values(found: list[_Annotation], dropped: Counter[str]) -> Iterator[_Annotation]:
    for one in found:
        if one.value:
            yield one
        else:
            dropped["annotations without a value"] += 1


def _person_of(tier: Element) -> str:
    """Return the participant of a tier, or the name in front of a colon."""
    return tier.get("PARTICIPANT", "").strip() or tier.get("TIER_ID", "").partition(":")[0].strip()


def _vocabularies(root: Element) -> dict[str, dict[str, str]]:
    """Return the values of the entries of each controlled vocabulary by their ids, in the order of the file."""
    vocabularies: dict[str, dict[str, str]] = {}
    for vocabulary in root.findall("CONTROLLED_VOCABULARY"):
        entries = vocabularies.setdefault(vocabulary.get("CV_ID", ""), {})
        for number, entry in enumerate(vocabulary):
            # Before version 2.8 the entry itself was the text.
            text = entry.text if entry.tag == "CV_ENTRY" else entry.findtext("CVE_VALUE")
            if entry.tag in ("CV_ENTRY", "CV_ENTRY_ML") and (value := " ".join((text or "").split())):
                entries[entry.get("CVE_ID") or f"#{number}"] = value
    return vocabularies


def _video_names(header: Element, path: Path) -> tuple[str, ...]:
    names = [(one.text or "") for one in header.findall("PROPERTY") if one.get("NAME") == VIDEO_ID_PROPERTY]
    media = header.find("MEDIA_DESCRIPTOR")
    if media is not None:
        names += [media.get("MEDIA_URL", ""), media.get("RELATIVE_MEDIA_URL", "")]
    return tuple(name for name in [*names, header.get("MEDIA_FILE", ""), path.stem] if name)


def _seconds_per_unit(header: Element, path: Path) -> float:
    unit = header.get("TIME_UNITS", "milliseconds")
    if unit not in _SECONDS_OF_UNIT:
        raise FormatError(
            f"{shown(path)}: TIME_UNITS is {', '.join(_SECONDS_OF_UNIT)}, got {shown(unit)[:40]!r}; save the file in "
            "ELAN again"
        )
    return _SECONDS_OF_UNIT[unit]


def _origin_seconds(header: Element, path: Path) -> float:
    media = header.find("MEDIA_DESCRIPTOR")
    origin = "0" if media is None else media.get("TIME_ORIGIN", "0")
    return finite_number(origin, "TIME_ORIGIN", f"{shown(path)}, MEDIA_DESCRIPTOR") / 1000
