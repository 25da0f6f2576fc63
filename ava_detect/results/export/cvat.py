"""CVAT for video 1.1 (https://docs.cvat.ai/docs/manual/advanced/formats/format-cvat/): tracks of people with actions.

Every keyframe becomes a keyframe of CVAT, which interpolates the boxes in between. Each action of the label map is a
checkbox of the label ``person``, so that a wrong one is one click to correct; a box lists those that its person does
at any time, and CVAT takes the others for false. ``labels.json`` is the input of the "Raw" tab of CVAT's label
constructor: create the task with it, then upload the xml as annotations. CVAT decodes the video itself and shows its
frames upright but not stretched, so boxes are in the file's own pixels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from ava_detect.results.export.action_names import for_xml, tool_names
from ava_detect.results.export.annotated_video import AnnotatedVideo, Sighting, actions_of
from ava_detect.storage.file_names import file_stems
from ava_detect.storage.local_files import atomic_path, write_text_atomic

LABELS_FILE = "labels.json"
_SCORE = "score"
_SCORE_RANGE = "0;1;0.001"
#: Of the name of an attribute in CVAT's database.
MAX_NAME_LENGTH = 64


def write_cvat(videos: Sequence[AnnotatedVideo], out: Path) -> list[Path]:
    """Write ``VIDEO_ID.xml`` for each video and ``labels.json`` for the task.

    Args:
        videos: The videos.
        out: The folder to write to.

    Returns:
        The path of ``labels.json``, then those of the videos.
    """
    names = tool_names(actions_of(videos), clean=for_xml, max_length=MAX_NAME_LENGTH)
    labels = out / LABELS_FILE
    write_text_atomic(labels, json.dumps(_labels(names), indent=2, ensure_ascii=False) + "\n")
    paths, stems = [labels], file_stems(video.video_id for video in videos)
    for video in videos:
        tree = ElementTree.ElementTree(_annotations(video, names))
        ElementTree.indent(tree)
        paths.append(out / f"{stems[video.video_id]}.xml")
        with atomic_path(paths[-1]) as temporary:
            tree.write(temporary, encoding="utf-8", xml_declaration=True)
    return paths


def _labels(names: Mapping[int, str]) -> list[dict[str, object]]:
    """Return the label ``person`` in the format of CVAT's label constructor."""
    score = {"name": _SCORE, "input_type": "number", "mutable": True, "values": _SCORE_RANGE.split(";")}
    checkboxes = [
        {"name": name, "input_type": "checkbox", "mutable": True, "values": ["false"]} for name in names.values()
    ]
    return [{"name": "person", "type": "rectangle", "attributes": [score, *checkboxes]}]


def _annotations(video: AnnotatedVideo, names: Mapping[int, str]) -> ElementTree.Element:
    """Return the xml of one video: the task's metadata, then a track per person."""
    root = ElementTree.Element("annotations")
    _add(root, "version", "1.1")
    task = _add(_add(root, "meta"), "task")
    _add(task, "name", for_xml(video.video_id))
    _add(task, "size", str(video.num_frames))
    _add(task, "mode", "interpolation")
    _add(task, "overlap", "0")
    _add(task, "start_frame", "0")
    _add(task, "stop_frame", str(video.num_frames - 1))
    _add(task, "source", for_xml(video.path.name))
    _add_label(_add(task, "labels"), names)
    size = _add(task, "original_size")
    width, height = video.decoded_size
    _add(size, "width", str(width))
    _add(size, "height", str(height))
    for track_id, sightings in sorted(video.tracks().items()):
        attributes = {"id": str(track_id), "label": "person", "source": "auto"}
        track = ElementTree.SubElement(root, "track", attributes)
        done = {action.id for sighting in sightings for action, _ in sighting.actions}
        checkboxes = {action_id: name for action_id, name in names.items() if action_id in done}
        for sighting, following in zip(sightings, [*sightings[1:], None], strict=True):
            box = video.unstretched_box(sighting)
            _add_box(track, sighting, box, sighting.frame, checkboxes)
            end = video.leaves_after(sighting, following)
            if end is not None:
                _add_box(track, sighting, box, end, checkboxes, is_outside=True)
    return root


def _add_label(labels: ElementTree.Element, names: Mapping[int, str]) -> None:
    label = _add(labels, "label")
    _add(label, "name", "person")
    attributes = _add(label, "attributes")
    _add_attribute(attributes, _SCORE, "number", "0", _SCORE_RANGE.replace(";", "\n"))
    for name in names.values():
        _add_attribute(attributes, name, "checkbox", "false", "")


def _add_attribute(attributes: ElementTree.Element, name: str, kind: str, default: str, values: str) -> None:
    attribute = _add(attributes, "attribute")
    _add(attribute, "name", name)
    _add(attribute, "mutable", "True")
    _add(attribute, "input_type", kind)
    _add(attribute, "default_value", default)
    _add(attribute, "values", values)


def _add_box(
    track: ElementTree.Element,
    sighting: Sighting,
    box_xyxy: Sequence[float],
    frame: int,
    names: Mapping[int, str],
    *,
    is_outside: bool = False,
) -> None:
    corners = dict(zip(("xtl", "ytl", "xbr", "ybr"), (f"{corner:.2f}" for corner in box_xyxy), strict=True))
    flags = {"outside": str(int(is_outside)), "occluded": "0", "keyframe": "1", "z_order": "0"}
    box = ElementTree.SubElement(track, "box", {"frame": str(frame), **flags, **corners})
    action_ids = {action.id for action, _ in sighting.actions}
    ElementTree.SubElement(box, "attribute", {"name": _SCORE}).text = f"{sighting.person_score:.3f}"
    for action_id, name in names.items():
        ElementTree.SubElement(box, "attribute", {"name": name}).text = str(action_id in action_ids).lower()


def _add(parent: ElementTree.Element, tag: str, text: str | None = None) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, tag)
    element.text = text
    return element
