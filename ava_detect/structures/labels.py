"""Label maps: the ids, names and kinds of actions.

AVA has 80 atomic actions of three kinds: a person's pose or movement (ids 1-14), manipulation of an object (15-63) and
interaction with a person (64-80). The 60 actions with enough examples are evaluated. Maps are read from the ``.pbtxt``
files that AVA publishes, in both of their forms (``label { name label_id label_type }`` and ``item { name id }``), and
from plain lists (``label_map_text``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from ava_detect.environment import resource_dir
from ava_detect.errors import FormatError, require_file, shown
from ava_detect.structures.label_map_text import GREATEST_ACTION_ID as GREATEST_ACTION_ID
from ava_detect.structures.label_map_text import parse_label_map

#: The value, in arrays of action ids, of a row that has no action. No file can hold it.
NO_ACTION = -1

AVA_80_FILE = "ava_action_list_v2.2.pbtxt"
AVA_60_FILE = "ava_action_list_v2.2_for_activitynet_2019.pbtxt"
_LONGEST_TEXT = 16 << 20  # characters; the label map of 32,767 actions has 3 million
# The characters that a string of protobuf's text format cannot contain as they are.
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"})


class ActionKind(StrEnum):
    """The three groups of AVA's actions, and one for labels without a kind."""

    POSE = "pose"
    OBJECT = "object"
    PERSON = "person"
    UNKNOWN = "unknown"


_KIND_OF_LABEL_TYPE = {
    "PERSON_MOVEMENT": ActionKind.POSE,
    "OBJECT_MANIPULATION": ActionKind.OBJECT,
    "PERSON_INTERACTION": ActionKind.PERSON,
}


@dataclass(frozen=True)
class Action:
    """One atomic action.

    Attributes:
        id: The id, in 0..1,000,000; AVA's ids count from 1.
        name: The name, such as ``"bend/bow (at the waist)"``.
        kind: The group of actions to which it belongs.
    """

    id: int
    name: str
    kind: ActionKind = ActionKind.UNKNOWN


@dataclass(frozen=True)
class LabelMap:
    """An ordered set of actions with distinct ids.

    Attributes:
        actions: The actions. ``actions[i]`` is column ``i`` of the scores ``[N, C]`` of a model trained with this map.

    Raises:
        FormatError: If two actions have the same id, or an id is not in 0..1,000,000.
    """

    actions: tuple[Action, ...]

    def __post_init__(self) -> None:
        seen: set[int] = set()
        for action in self.actions:
            if not 0 <= action.id <= GREATEST_ACTION_ID:
                raise FormatError(f"label map: action ids lie in 0..{GREATEST_ACTION_ID}, got {action.id}")
            if action.id in seen:
                raise FormatError(f"label map: id {action.id} is given twice; every action needs its own id")
            seen.add(action.id)

    def __len__(self) -> int:
        return len(self.actions)

    def __iter__(self) -> Iterator[Action]:
        return iter(self.actions)

    def __contains__(self, action_id: object) -> bool:
        return any(action.id == action_id for action in self.actions)

    @property
    def ids(self) -> tuple[int, ...]:
        """The action ids, in the order of the map."""
        return tuple(action.id for action in self.actions)

    def by_id(self, action_id: int) -> Action:
        """Return the action with an id.

        Args:
            action_id: The id.

        Returns:
            The action.

        Raises:
            KeyError: If the map has no such id; the message gives the known ids.
        """
        for action in self.actions:
            if action.id == action_id:
                return action
        raise KeyError(f"no action has id {action_id}; this label map has {len(self)} ids: {_brief(self.ids)}")

    def name(self, action_id: int) -> str:
        """Return the name of the action with an id.

        Args:
            action_id: The id.

        Returns:
            The name.

        Raises:
            KeyError: If the map has no such id.
        """
        return self.by_id(action_id).name

    def subset(self, ids: Sequence[int]) -> LabelMap:
        """Select actions by id.

        Args:
            ids: Distinct ids of this map.

        Returns:
            A map of these actions, in the order of ``ids``.

        Raises:
            KeyError: If the map lacks one of the ids.
            FormatError: If an id is given twice.
        """
        return LabelMap(tuple(self.by_id(action_id) for action_id in ids))

    def to_pbtxt(self) -> str:
        """Write the map as text in AVA's ``label { ... }`` form, which contains the kinds.

        Returns:
            The content of a ``.pbtxt`` file.
        """
        types = {kind: text for text, kind in _KIND_OF_LABEL_TYPE.items()}
        blocks = []
        for action in self.actions:
            name = action.name.translate(_ESCAPES)
            lines = [f'  name: "{name}"', f"  label_id: {action.id}"]
            if action.kind in types:
                lines.append(f"  label_type: {types[action.kind]}")
            blocks.append("label {\n" + "\n".join(lines) + "\n}\n")
        return "".join(blocks)

    @classmethod
    def from_pbtxt(cls, path: str | Path, *, distinct_names: bool = True) -> LabelMap:
        """Read a label map: a ``.pbtxt``, or a list with a line ``1: name`` or ``1,name`` for each action.

        The kind of an action is its ``label_type`` where the file has one, else the kind of the action of AVA's list
        with the same id and name.

        Args:
            path: The file, UTF-8 text with or without a byte order mark.
            distinct_names: Whether two actions of one name are refused. Only an evaluation, which knows actions by
                their ids alone, needs no distinct names.

        Returns:
            The map, in the order of the file.

        Raises:
            FormatError: If the file cannot be read or parsed, has an id that is not in 0..1,000,000, or gives an id or
                a name to two actions; names the file and the line.
        """
        try:
            require_file(path)
            with Path(path).open(encoding="utf-8-sig") as file:
                text = file.read(_LONGEST_TEXT + 1)
        except (OSError, UnicodeDecodeError) as error:
            raise FormatError(
                f"{shown(path)}: the label map cannot be read ({shown(error)}); give a .pbtxt file"
            ) from error
        if len(text) > _LONGEST_TEXT:
            raise FormatError(
                f"{shown(path)}: more than {_LONGEST_TEXT:,} characters are no label map; give a .pbtxt file"
            )
        is_ava = Path(path).name == AVA_80_FILE
        return cls.from_text(text, str(path), is_ava=is_ava, distinct_names=distinct_names)

    @classmethod
    def from_text(cls, text: str, where: str, *, is_ava: bool = False, distinct_names: bool = True) -> LabelMap:
        """Parse the text of a label map; see ``from_pbtxt``.

        Args:
            text: The content of the file.
            where: The name of the file in error messages.
            is_ava: Whether the text is AVA's own list of 80 actions, from which the kinds of other lists are taken.
            distinct_names: Whether two actions of one name are refused.

        Returns:
            The map, in the order of the text.

        Raises:
            FormatError: If the text cannot be parsed; names ``where`` and the line.
        """
        actions = [
            Action(entry.id, entry.name, _KIND_OF_LABEL_TYPE.get(entry.label_type, ActionKind.UNKNOWN))
            for entry in parse_label_map(text, shown(where), distinct_names=distinct_names)
        ]
        if not is_ava:
            known = {(a.id, a.name): a.kind for a in cls.ava()}
            actions = [
                Action(a.id, a.name, known.get((a.id, a.name), a.kind)) if a.kind is ActionKind.UNKNOWN else a
                for a in actions
            ]
        return cls(tuple(actions))

    @classmethod
    @cache
    def ava(cls) -> LabelMap:
        """Return all 80 actions of AVA v2.2 in the order of their ids: score column ``i`` is id ``i + 1``."""
        return cls.from_pbtxt(resource_dir("annotations") / AVA_80_FILE)

    @classmethod
    @cache
    def ava_evaluated(cls) -> LabelMap:
        """Return the 60 actions over which AVA's frame-mAP is averaged."""
        return cls.from_pbtxt(resource_dir("annotations") / AVA_60_FILE)


def _brief(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids)) if len(ids) <= 8 else f"{min(ids)} to {max(ids)}"
