"""Annotations for ELAN (https://archive.mpi.nl/tla/elan), a ``.eaf`` file per video, in version 3.0 of its format.

Every person has a tier, ``person 3``, with the times in which they are in the picture, and a tier per kind of action,
``person 3: pose``, ``person 3: person-object``, ``person 3: person-person``. Annotations of one tier cannot overlap: a
person who does two actions of a kind at once has a second tier of that kind, ``person 3: person-person 2``. The tiers
of a person have the same participant, by which ELAN sorts and groups them. They are no children of the first one, so
that an action can be corrected to any time. Each kind has a controlled vocabulary with the names of its actions.

The video is linked by its absolute path and by the path from the folder of the ``.eaf`` file. Both are as ELAN writes
them, plain and not percent-encoded: it takes everything after ``file://`` as the path. Times are in milliseconds on the
clock of the player.

Source: the schema EAFv3.0.xsd, and the document "ELAN Annotation Format" of the Max Planck Institute for
Psycholinguistics.
"""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from ava_detect.results.export.action_intervals import (
    KIND_NAMES,
    action_intervals,
    person_name,
    presence,
    rows_without_overlap,
)
from ava_detect.results.export.action_names import allowed_in_xml, for_xml, tool_names
from ava_detect.results.export.annotated_video import AnnotatedVideo, actions_of
from ava_detect.storage.file_names import file_stems
from ava_detect.storage.local_files import atomic_path
from ava_detect.structures.labels import Action, ActionKind

#: Name of the property that holds the id of the video.
VIDEO_ID_PROPERTY = "ava_detect:video_id"
#: The linguistic type of the tiers that say when a person is in the picture.
PRESENCE_TYPE = "presence"
PRESENT = "present"
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
# Of no language in particular, as ELAN itself writes it.
_LANGUAGE = {
    "LANG_ID": "und",
    "LANG_DEF": "http://cdb.iso.org/lg/CDB-00130975-001",
    "LANG_LABEL": "undetermined (und)",
}


class _Annotation(NamedTuple):
    """An annotation of a tier: what, from when to when, and the id of its entry in the vocabulary ("" for none)."""

    value: str
    start_ms: int
    end_ms: int
    entry: str = ""


class _Tier(NamedTuple):
    """A tier: its name, the person, the linguistic type and its annotations."""

    name: str
    participant: str
    linguistic_type: str
    annotations: Sequence[_Annotation]


def write_elan(videos: Sequence[AnnotatedVideo], out: Path) -> list[Path]:
    """Write ``VIDEO_ID.eaf`` for each video.

    Args:
        videos: The videos.
        out: The folder to write to.

    Returns:
        The paths of the files, in the order of the videos.
    """
    actions = actions_of(videos)
    names = tool_names(actions, clean=for_xml)
    kinds = [kind for kind in KIND_NAMES if any(action.kind is kind for action in actions)]
    stems = file_stems(video.video_id for video in videos)
    paths = []
    for video in videos:
        paths.append(out / f"{stems[video.video_id]}.eaf")
        root = _document(video, paths[-1], kinds, list(_tiers(video, kinds, names)))
        for kind in kinds:
            _add_vocabulary(root, kind, [action for action in actions if action.kind is kind], names)
        ElementTree.indent(root, "    ")
        with atomic_path(paths[-1]) as temporary:
            temporary.write_text(_HEAD + ElementTree.tostring(root, encoding="unicode") + "\n", encoding="utf-8")
    return paths


def _tiers(video: AnnotatedVideo, kinds: Sequence[ActionKind], names: Mapping[int, str]) -> Iterable[_Tier]:
    """Yield the tiers of one person after another."""
    intervals = action_intervals(video)
    for track_id, times in presence(video).items():
        person = person_name(track_id)
        yield _Tier(person, person, PRESENCE_TYPE, [_Annotation(PRESENT, start, end) for start, end in times])
        for kind in kinds:
            name = f"{person}: {KIND_NAMES[kind]}"
            rows = rows_without_overlap(i for i in intervals if i.track_id == track_id and i.action.kind is kind)
            # A tier without annotations, too, so that a corrector finds where to add some.
            for number, row in enumerate(rows or [[]], start=1):
                annotations = [_Annotation(names[i.action.id], i.start_ms, i.end_ms, _entry_id(i.action)) for i in row]
                yield _Tier(name if number == 1 else f"{name} {number}", person, KIND_NAMES[kind], annotations)


def _document(
    video: AnnotatedVideo, path: Path, kinds: Sequence[ActionKind], tiers: Sequence[_Tier]
) -> ElementTree.Element:
    """Return the document of a video up to its linguistic types and languages."""
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "ava_detect",
            "DATE": datetime.now(UTC).isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": _INSTANCE,
            "xsi:noNamespaceSchemaLocation": _SCHEMA,
        },
    )
    _add_header(root, video, path, sum(len(tier.annotations) for tier in tiers))
    _add_annotations(root, tiers)
    for name in [PRESENCE_TYPE, *(KIND_NAMES[kind] for kind in kinds)]:
        attributes = {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": name, "TIME_ALIGNABLE": "true"}
        if name != PRESENCE_TYPE:
            attributes["CONTROLLED_VOCABULARY_REF"] = name
        ElementTree.SubElement(root, "LINGUISTIC_TYPE", attributes)
    ElementTree.SubElement(root, "LANGUAGE", _LANGUAGE)
    return root


def _add_header(root: ElementTree.Element, video: AnnotatedVideo, path: Path, num_annotations: int) -> None:
    header = ElementTree.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    media = video.path.resolve()
    kind, _ = mimetypes.guess_type(media.name)
    attributes = {
        "MEDIA_URL": allowed_in_xml("file:///" + media.as_posix().lstrip("/")),
        "MIME_TYPE": kind or "video/*",
        "RELATIVE_MEDIA_URL": allowed_in_xml(_relative(media, path.resolve().parent)),
    }
    ElementTree.SubElement(header, "MEDIA_DESCRIPTOR", attributes)
    properties = {VIDEO_ID_PROPERTY: allowed_in_xml(video.video_id), "lastUsedAnnotationId": str(num_annotations)}
    for name, value in properties.items():
        ElementTree.SubElement(header, "PROPERTY", {"NAME": name}).text = value


def _add_annotations(root: ElementTree.Element, tiers: Sequence[_Tier]) -> None:
    """Add the time slots, ascending, and the tiers that refer to them."""
    order = ElementTree.SubElement(root, "TIME_ORDER")
    ends = [(a.start_ms, t, i, 0) for t, tier in enumerate(tiers) for i, a in enumerate(tier.annotations)]
    ends += [(a.end_ms, t, i, 1) for t, tier in enumerate(tiers) for i, a in enumerate(tier.annotations)]
    # (tier, annotation, start or end) -> id of its time slot
    slots: dict[tuple[int, int, int], str] = {}
    for number, (time, *key) in enumerate(sorted(ends), start=1):
        slots[key[0], key[1], key[2]] = f"ts{number}"
        ElementTree.SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": f"ts{number}", "TIME_VALUE": str(time)})
    number = 0
    for t, tier in enumerate(tiers):
        attributes = {
            "LINGUISTIC_TYPE_REF": tier.linguistic_type,
            "PARTICIPANT": tier.participant,
            "TIER_ID": tier.name,
        }
        element = ElementTree.SubElement(root, "TIER", attributes)
        for i, annotation in enumerate(tier.annotations):
            number += 1
            attributes = {"ANNOTATION_ID": f"a{number}"}
            attributes |= {"CVE_REF": annotation.entry} if annotation.entry else {}
            attributes |= {"TIME_SLOT_REF1": slots[t, i, 0], "TIME_SLOT_REF2": slots[t, i, 1]}
            outer = ElementTree.SubElement(element, "ANNOTATION")
            inner = ElementTree.SubElement(outer, "ALIGNABLE_ANNOTATION", attributes)
            ElementTree.SubElement(inner, "ANNOTATION_VALUE").text = annotation.value


def _add_vocabulary(
    root: ElementTree.Element, kind: ActionKind, actions: Iterable[Action], names: Mapping[int, str]
) -> None:
    vocabulary = ElementTree.SubElement(root, "CONTROLLED_VOCABULARY", {"CV_ID": KIND_NAMES[kind]})
    ElementTree.SubElement(vocabulary, "DESCRIPTION", {"LANG_REF": _LANGUAGE["LANG_ID"]})
    for action in actions:
        entry = ElementTree.SubElement(vocabulary, "CV_ENTRY_ML", {"CVE_ID": _entry_id(action)})
        attributes = {"DESCRIPTION": "", "LANG_REF": _LANGUAGE["LANG_ID"]}
        ElementTree.SubElement(entry, "CVE_VALUE", attributes).text = names[action.id]


def _entry_id(action: Action) -> str:
    return f"cveid{action.id}"


def _relative(media: Path, folder: Path) -> str:
    try:
        relative = Path(os.path.relpath(media, folder)).as_posix()
    except ValueError:  # on another drive of Windows
        return f"./{media.name}"
    return relative if relative.startswith("../") else f"./{relative}"
