"""Ids for the names of actions that a tool's file has: AVA's or a label map's where they have the name, else new ones.

``hand-over`` gives some actions another name, which the tool accepts (``action_names``); it is known here, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ava_detect.errors import FormatError, shown
from ava_detect.results.export.action_names import for_xml, tool_names
from ava_detect.results.export.boris import for_boris
from ava_detect.results.export.cvat import MAX_NAME_LENGTH
from ava_detect.results.export.fiftyone import field_name
from ava_detect.results.importing.labels import ToolLabels
from ava_detect.structures.labels import GREATEST_ACTION_ID, Action, LabelMap

_PLACEHOLDER = re.compile(r"action \d+")


@dataclass(frozen=True)
class ActionIds:
    """The ids of the actions of an import.

    Attributes:
        by_name: Name in the files -> action id.
        label_map: The actions of the import, in the order of their ids.
        new: The actions that the known label map lacks, in the order of the files.
        note: What was assumed about the ids of the files, a sentence; empty where nothing was.
    """

    by_name: Mapping[str, int]
    label_map: LabelMap
    new: tuple[Action, ...]
    note: str = ""


def number_actions(labels: Sequence[ToolLabels], given: LabelMap | None) -> ActionIds:
    """Give each name of an action an id.

    A name that the label map has gets the id that it has there. Ids of the files are kept, except that those from 0
    become those of a label map from 1. Other names get new ids, above the known ones.

    Args:
        labels: The labels of the files.
        given: The label map that was given; None for AVA's, against which ids of the files win.

    Returns:
        The ids. The label map has the actions that could be chosen, and all known ones where the files do not list
        their actions.

    Raises:
        FormatError: The files give one name two ids, one id two names, or there are more ids than allowed.
    """
    ids, note = _from_one(_given_ids(labels), given)
    known = given or (LabelMap(()) if 0 in ids.values() else LabelMap.ava())
    names = dict.fromkeys(name for one in labels for name in (*one.action_names, *_used(one)))
    by_spelling = _spellings(known)
    by_name: dict[str, int] = {}
    for name in names:
        spelled = by_spelling.get(name, by_spelling.get(name.strip().casefold()))
        if name in ids and (given is None or spelled is None):
            by_name[name] = ids[name]
        elif spelled is not None:
            by_name[name] = spelled
    # Names of which AVA has none are another project's, which counts its own from 1.
    next_id = max((*(known.ids if given or by_name else ()), *by_name.values()), default=0) + 1
    own = {name: ids[name] for name in by_name if name in ids and not _PLACEHOLDER.fullmatch(name)}
    for name in names:
        if name not in by_name:
            by_name[name] = own[name] = next_id
            next_id += 1
    if next_id > GREATEST_ACTION_ID:
        raise FormatError(f"the files have more actions than ids up to {GREATEST_ACTION_ID}; give a `label_map`")
    actions = _named(by_name, known, own)
    new = tuple(action for action in actions.values() if action not in known.actions)
    if not new and not any(one.action_names for one in labels):
        actions = {action.id: action for action in known}
    return ActionIds(by_name, LabelMap(tuple(actions[i] for i in sorted(actions))), new, note)


def _named(by_name: Mapping[str, int], known: LabelMap, own: Mapping[str, int]) -> dict[int, Action]:
    """Return the action of each id: the label map's, or one with the name in the file for those of ``own``."""
    known_actions = {action.id: action for action in known}
    actions: dict[int, Action] = {}
    for name, action_id in by_name.items():
        action = known_actions.get(action_id)
        if action is None or (name in own and name != action.name):
            action = Action(action_id, name)
        other = actions.setdefault(action_id, action)
        if other.name != action.name:
            raise FormatError(
                f"the id {action_id} is {shown(other.name)!r} and {shown(action.name)!r}; give the label map whose ids "
                "count (`label_map`)"
            )
    return actions


def _from_one(ids: Mapping[str, int], given: LabelMap | None) -> tuple[Mapping[str, int], str]:
    """Return ids that count from 1 as the label map does, where those of the files count from 0, and a note on it."""
    if given is None or 0 not in ids.values() or 0 in given:
        return ids, ""
    if not all(action_id + 1 in given for action_id in ids.values()):
        return ids, ""
    note = "The ids of the files count from 0 and those of the label map from 1, so 1 was added to them."
    return {name: action_id + 1 for name, action_id in ids.items()}, note


def placeholder(action_id: int) -> str:
    """Return the name that readers give an action of which a file has the id alone.

    Args:
        action_id: The id.

    Returns:
        Such as ``action 12``; the label map's name takes its place.
    """
    return f"action {action_id}"


def _given_ids(labels: Iterable[ToolLabels]) -> dict[str, int]:
    ids: dict[str, int] = {}
    for one in labels:
        for name, action_id in one.action_ids.items():
            if ids.setdefault(name, action_id) != action_id:
                raise FormatError(
                    f"the files give the action {shown(name)!r} the ids {ids[name]} and {action_id}; import one by one"
                )
    return ids


def _used(labels: ToolLabels) -> Iterable[str]:
    return dict.fromkeys(name for person in labels.people for name in person.actions)


def _spellings(known: LabelMap) -> dict[str, int]:
    """Return the names under which tools may have the actions of a label map, the exact ones last."""
    actions = list(known)
    spellings: dict[str, int] = {}
    folded: dict[str, set[int]] = {}
    for action in actions:
        folded.setdefault(action.name.strip().casefold(), set()).add(action.id)
    spellings.update((name, min(ids)) for name, ids in folded.items() if len(ids) == 1)
    cleaned = (tool_names(actions, clean=clean) for clean in (None, for_boris, for_xml, field_name))
    for names in (*cleaned, tool_names(actions, clean=for_xml, max_length=MAX_NAME_LENGTH)):
        spellings.update((name, action_id) for action_id, name in names.items())
    spellings.update((action.name, action.id) for action in actions)
    return spellings
