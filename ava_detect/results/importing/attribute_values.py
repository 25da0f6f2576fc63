"""Attributes of json files, whose values are numbers, booleans, texts and lists, as labels with actions.

No file says which attributes can be chosen, so their kinds follow from the values: one that is true or false, or a
score from 0 to 1, is a checkbox. A score above 0 sets it, as ``hand-over`` writes scores of the actions that count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from ava_detect.results.importing.action_attributes import Attribute, LabelScheme, actions_in, is_true, quoted

# Fields that tools give every box; a value that is set is counted as dropped.
_FIELDS_OF_TOOLS = frozenset(
    ("occluded", "outside", "truncated", "difficult", "iscrowd", "is_crowd", "rotation", "z_order", "source", "group")
)
_PERSON_FIELDS = ("track_id", "index", "person_id", "instance_id")


def scheme_of(boxes: Iterable[tuple[str, Mapping[str, object]]]) -> LabelScheme:
    """Infer labels and the kinds of their attributes from the boxes of a file.

    Args:
        boxes: The label and the attributes of each box.

    Returns:
        The labels, with the attributes of their boxes.
    """
    seen: dict[str, dict[str, list[object]]] = {}
    for label, attributes in boxes:
        of_label = seen.setdefault(label, {})
        for name, value in attributes.items():
            if value is not None and name not in _FIELDS_OF_TOOLS:
                of_label.setdefault(name, []).append(value)
    return LabelScheme(
        {label: {name: _attribute(name, values) for name, values in found.items()} for label, found in seen.items()}
    )


def read_box(
    scheme: LabelScheme, label: str, attributes: Mapping[str, object], dropped: Counter[str]
) -> tuple[tuple[str, ...], str | None] | None:
    """Read what a box says.

    Args:
        scheme: The labels of the file.
        label: The label of the box.
        attributes: Its attributes.
        dropped: Gets what is not carried over.

    Returns:
        The actions and the person's id, None where no attribute has it; or None where the box is no person.
    """
    texts: dict[str, str] = {}
    listed: list[str] = []
    for name, value in attributes.items():
        attribute = scheme.labels.get(label, {}).get(name)
        if name in _FIELDS_OF_TOOLS:
            if value:
                dropped[f"values of the attribute {quoted(name)}"] += 1
        elif isinstance(value, list | tuple) and attribute is not None and attribute.is_action:
            listed += [str(item) for item in value]
        elif value is not None:
            texts[name] = _text(value, attribute)
    found = scheme.read(label, texts, dropped)
    if found is None:
        return None
    actions, person = found
    return tuple(dict.fromkeys((*actions, *actions_in(listed)))), person


def person_of(*sources: Mapping[str, object]) -> str | None:
    """Find the id of a person's track.

    Args:
        *sources: An entry of a file, and its attributes.

    Returns:
        The id as text; None where there is none, or it is negative.
    """
    for source in sources:
        for name in _PERSON_FIELDS:
            value = source.get(name)
            if isinstance(value, bool) or value is None:
                continue
            if isinstance(value, float) and value.is_integer():
                value = int(value)
            if isinstance(value, int) and value < 0:
                continue
            if isinstance(value, int | str) and str(value).strip():
                return str(value).strip()
    return None


def _attribute(name: str, values: list[object]) -> Attribute:
    if not Attribute(name, "text").is_person_id and all(_is_switch(value) for value in values):
        return Attribute(name, "checkbox")
    if any(isinstance(value, list | tuple) for value in values):
        return Attribute(name, "choices")
    return Attribute(name, "choice", tuple(dict.fromkeys(value for value in values if isinstance(value, str))))


def _is_switch(value: object) -> bool:
    if isinstance(value, str):
        return value.strip().casefold() in ("true", "false")
    return isinstance(value, bool) or (isinstance(value, int | float) and 0 <= value <= 1)


def _text(value: object, attribute: Attribute | None) -> str:
    if attribute is not None and attribute.kind == "checkbox":
        is_set = is_true(value) if isinstance(value, str) else bool(value)
        return "true" if is_set else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else str(value)
