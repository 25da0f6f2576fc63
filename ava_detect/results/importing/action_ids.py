"""Ids for the names of actions that a tool's file has: AVA's or a label map's where they have the name, else new ones.

``hand-over`` gives some actions another name, which the tool accepts (``action_names``); it is known here, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ava_detect.errors import FormatError, shown
from ava_detect.results.export.action_names import for_xml, tool_names
from ava_detect.results.export.boris import for_boris
from ava_detect.results.export.cvat import MAX_NAME_LENGTH
from ava_detect.results.export.fiftyone import field_name
from ava_detect.results.importing.labels import ToolLabels
from ava_detect.structures.labels import GREATEST_ACTION_ID, Action, LabelMap


@dataclass(frozen=True)
class ActionIds:
    """The ids of the actions of an import.

    Attributes:
        by_name: Name in the files -> action id.
        label_map: The actions of the import, in the order of their ids.
        new: The actions that the known label map lacks, in the order of the files.
    """

    by_name: Mapping[str, int]
    label_map: LabelMap
    new: tuple[Action, ...]


def number_actions(labels: Sequence[ToolLabels], known: LabelMap) -> ActionIds:
    """Give each name of an action an id.

    Args:
        labels: The labels of the files.
        known: The label map that was given, or AVA's.

    Returns:
        The ids. The label map has the actions that could be chosen, and all of ``known`` where the files do not list
        their actions.

    Raises:
        FormatError: The files give one name two ids, one id two names, or there are more ids than allowed.
    """
    ids = _given_ids(labels)
    names = dict.fromkeys(name for one in labels for name in (*one.action_names, *_used(one)))
    by_spelling = _spellings(known)
    new: list[Action] = []
    by_name: dict[str, int] = {}
    for name in names:
        if name in ids:
            by_name[name] = ids[name]
        elif (found := by_spelling.get(name, by_spelling.get(name.strip().casefold()))) is not None:
            by_name[name] = found
    known_ids = set(known.ids) if set(by_name.values()) & set(known.ids) else set()
    next_id = max((*known_ids, *by_name.values()), default=0) + 1
    for name in names:
        if name not in by_name:
            by_name[name] = next_id
            next_id += 1
    if next_id > GREATEST_ACTION_ID:
        raise FormatError(f"the files have more actions than ids up to {GREATEST_ACTION_ID}; give a `label_map`")
    actions = {action.id: action for action in known} if not any(one.action_names for one in labels) else {}
    for name, action_id in by_name.items():
        action = _known_action(known, action_id, name, ids)
        if action is None:
            action = Action(action_id, name)
            new.append(action)
        other = actions.setdefault(action_id, action)
        if other.name != action.name:
            raise FormatError(
                f"the id {action_id} is {shown(other.name)!r} and {shown(action.name)!r}; give the label map whose ids "
                "count (`label_map`)"
            )
    ordered = tuple(actions[action_id] for action_id in sorted(actions))
    return ActionIds(by_name, LabelMap(ordered), tuple(new))


def placeholder(action_id: int) -> str:
    """Return the name that readers give an action of which a file has the id alone.

    Args:
        action_id: The id.

    Returns:
        Such as ``action 12``; the label map's name takes its place.
    """
    return f"action {action_id}"


def _known_action(known: LabelMap, action_id: int, name: str, ids: Mapping[str, int]) -> Action | None:
    """Return the action of the known map that a name means; None where it has none."""
    found = next((action for action in known if action.id == action_id), None)
    if found is None or name not in ids or name in (found.name, placeholder(action_id)):
        return found
    return None


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
