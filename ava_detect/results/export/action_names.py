"""Names of actions as other tools take them: each action has one of its own that means nothing else to the tool."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from ava_detect.structures.labels import Action

# Names with a meaning of their own beside the attributes of a person: this package's and CVAT's attributes, Datumaro's,
# and the fields and methods of FiftyOne's Detection. One set for all, so that a class has one name in every tool.
_OURS_AND_COCO = """
    area bbox box category_id frame id image_id is_crowd iscrowd keyframe label label_id name occluded outside person
    rotation score segmentation source track track_id type z_order"""
_FIFTYONE = """
    attributes attrs bounding_box clean confidence copy events fancy_repr frames from_dict from_json get_field has_field
    has_mask index instance iter_fields mask mask_path media_type pk set_field support tags to_dict to_json to_mongo
    to_segmentation to_shapely validate"""
_TAKEN = frozenset(_OURS_AND_COCO.split()) | frozenset(_FIFTYONE.split())
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def tool_names(
    actions: Sequence[Action], *, clean: Callable[[str], str] | None = None, max_length: int | None = None
) -> dict[int, str]:
    """Name actions for a tool.

    Args:
        actions: The actions, with distinct ids.
        clean: Removes what the tool does not accept in a name; None where it accepts everything.
        max_length: Largest number of characters of a name; None for no limit.

    Returns:
        Action id -> name: the action's own name, or ``NAME (ID)`` where several actions have it, or where a tool has an
        attribute of that name, such as ``score``. No two are equal.
    """
    plain = {a.id: (a.name if clean is None else clean(a.name)).strip() or "action" for a in actions}
    counts = Counter(name[:max_length].casefold() for name in plain.values())
    names: dict[int, str] = {}
    taken = {name.casefold() for name in plain.values()}
    for action_id, name in plain.items():
        fits = max_length is None or len(name) <= max_length
        if fits and counts[name.casefold()] == 1 and name.casefold() not in _TAKEN:
            names[action_id] = name
            continue
        suffix = f" ({action_id})"
        # Another action may be called "walk (3)" by itself.
        while (candidate := _shortened(name, suffix, max_length)).casefold() in taken:
            suffix += "'"
        names[action_id] = candidate
        taken.add(candidate.casefold())
    return names


def _shortened(name: str, suffix: str, max_length: int | None) -> str:
    return (name if max_length is None else name[: max_length - len(suffix)].rstrip()) + suffix


def allowed_in_xml(text: str) -> str:
    """Return text without the characters that XML forbids.

    Args:
        text: Any text, such as the path of a file.

    Returns:
        The text with its white space as it is.
    """
    return _NOT_IN_XML.sub("", text)


def for_xml(text: str) -> str:
    """Return text that XML can hold in one line.

    Args:
        text: Any text.

    Returns:
        The text without the characters that XML forbids, and with a space for each run of white space.
    """
    return " ".join(allowed_in_xml(text).split())
