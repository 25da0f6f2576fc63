"""Regions of VIA, whose attributes belong to no label: which of them are people, and what these do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ava_detect.results.importing.action_attributes import Attribute, LabelScheme, is_action_name, split_values
from ava_detect.results.importing.action_ids import placeholder
from ava_detect.results.importing.labels import Box, LabelledPerson, ToolLabels
from ava_detect.structures.labels import GREATEST_ACTION_ID

#: The shape of a box that was drawn by the four points at its sides.
EXTREME_RECTANGLE = 8
_PERSON = "person"


@dataclass
class Region:
    """A box with its attributes.

    Attributes:
        where: The file and the entry, for messages.
        video: The video.
        seconds: Time from the first frame.
        box: x1, y1, x2, y2 as fractions of the frame.
        values: Name of an attribute -> the values that are chosen.
    """

    where: str
    video: str
    seconds: float
    box: Box
    values: Mapping[str, tuple[str, ...]]


def read_regions(regions: Sequence[Region], attributes: Sequence[Attribute], labels: ToolLabels) -> None:
    """Add the people among the regions, and the actions that could be chosen, to the labels of a file.

    A choice called ``label``, ``class`` or the like tells which regions are people, if a person is one of its values;
    otherwise its values are the actions, unless another attribute has these.

    Args:
        regions: The regions.
        attributes: The attributes that regions may have.
        labels: Gets the people, the names of the actions, and what is left out.
    """
    known = {attribute.name: attribute for attribute in attributes}
    kind = next((attribute for attribute in attributes if attribute.is_label), None)
    others = {name: attribute for name, attribute in known.items() if attribute is not kind}
    scheme = LabelScheme(is_shared=True)
    values = (
        [] if kind is None else [*kind.values, *(v for region in regions for v in region.values.get(kind.name, ()))]
    )
    for value in dict.fromkeys(values):
        if is_action_name(value):
            scheme.labels[value] = others
    if not scheme.labels:
        scheme.labels[_PERSON] = others
    for region in regions:
        label = _PERSON if kind is None else next(iter(region.values.get(kind.name, ())), _PERSON)
        chosen = {name: ",".join(v) for name, v in region.values.items() if kind is None or name != kind.name}
        # Options are chosen one by one, and their names may hold commas; a text may list several.
        actions = [
            name
            for attribute in others.values()
            if attribute.is_action
            for text in region.values.get(attribute.name, ())
            for name in ([text] if attribute.kind != "text" else split_values(text))
            if is_action_name(name)
        ]
        plain = {name: text for name, text in chosen.items() if name not in others or not others[name].is_action}
        read = scheme.read(label, plain, labels.dropped)
        if read is not None:
            by_label, person = read
            names = tuple(dict.fromkeys((*by_label, *actions)))
            labels.people.append(LabelledPerson(region.video, region.seconds, region.box, names, person))
    labels.action_names = scheme.action_names()
    _take_ids(labels)


def _take_ids(labels: ToolLabels) -> None:
    """Where all actions are called by numbers, these are their ids."""
    used = dict.fromkeys(name for person in labels.people for name in person.actions)
    names = [*dict.fromkeys((*labels.action_names, *used))]
    if not names or not all(name.isascii() and name.isdigit() and len(name) < 8 for name in names):
        return
    if max(map(int, names)) > GREATEST_ACTION_ID:
        return
    ids = {name: placeholder(int(name)) for name in names}
    labels.people[:] = [
        LabelledPerson(p.video, p.seconds, p.box_fraction, tuple(ids[name] for name in p.actions), p.person)
        for p in labels.people
    ]
    labels.action_ids = {text: int(name) for name, text in ids.items()}
    labels.action_names = ()
