"""Which labels of a tool are people, and which of their attributes are actions.

Tools know labels with attributes, and each project names its own: a label ``person`` with a checkbox for each
action, or with a list ``action`` to choose from; or a label for each action, drawn around the person who does it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ava_detect.errors import shown

# Names are compared in lower case, without blanks and punctuation.
_PERSON_LABELS = """
    person persons people human humans pedestrian pedestrians actor actors subject subjects player players man woman
    child children baby student students teacher driver passenger worker face head body animal"""
_PERSON_ID_NAMES = """
    track trackid trackno tracknumber person personid personname pid id identity instance instanceid objectid subject
    subjectid actorid name who"""
_LABEL_NAMES = "label labels class classes classname category categories type kind object objecttype objectclass"
# What hand-over writes beside the actions.
_MEASURES = ("score", "confidence", "conf", "keyframe", "outside", "occluded")
_ACTION_WORDS = re.compile(
    r"action|activit|behav|pose|posture|movement|interaction|gesture|verb|event|doing", re.IGNORECASE
)
_TRUE = ("true", "1", "yes", "on")
_NO_ACTION = ("", "none", "no action", "noaction", "__undefined__", "undefined", "n/a", "na", "null", "-")
_LONGEST_NAME = 60


@dataclass
class Attribute:
    """An attribute of a label, as the tool's project defines it.

    Attributes:
        name: Its name.
        kind: ``checkbox`` (true or false), ``checkboxes`` (a value for each that is ticked), ``choice`` (one of several
            values), ``choices`` (any of several values, with commas between them) or ``text``, which numbers are, too.
        values: The values of a choice, in their order.
        default: The value where none is set.
    """

    name: str
    kind: str
    values: tuple[str, ...] = ()
    default: str = ""

    @property
    def is_action(self) -> bool:
        """Whether its values are actions: of checkboxes, and of another choice or text that is called so."""
        if self.is_person_id or _plain(self.name) in _MEASURES:
            return False
        return self.kind in ("checkbox", "checkboxes") or _ACTION_WORDS.search(self.name) is not None

    @property
    def is_person_id(self) -> bool:
        """Whether its value tells people apart."""
        return self.kind in ("text", "choice") and _plain(self.name) in _PERSON_ID_NAMES.split()

    @property
    def is_label(self) -> bool:
        """Whether its value is what the box shows, such as a person or a car."""
        return not self.is_action and self.kind in ("choice", "text") and _plain(self.name) in _LABEL_NAMES.split()

    @property
    def actions(self) -> tuple[str, ...]:
        """The actions that can be chosen in it."""
        if not self.is_action:
            return ()
        if self.kind == "checkbox":
            return (self.name,)
        return tuple(value for value in self.values if is_action_name(value))


@dataclass
class LabelScheme:
    """The labels of a tool's project and their attributes.

    Attributes:
        labels: Label -> its attributes by name; labels that the file uses without defining them may be missing.
        is_shared: Whether all labels have the same attributes, so that these do not tell which of them are people.
    """

    labels: dict[str, dict[str, Attribute]] = field(default_factory=dict)
    is_shared: bool = False

    def is_person(self, label: str) -> bool:
        """Tell whether the boxes of a label are people whose actions are attributes.

        Args:
            label: The label.

        Returns:
            True for a label with actions among its attributes, or with a name such as "person".
        """
        if is_person_label(label) or (self.is_shared and any(map(is_person_label, self.labels))):
            return is_person_label(label)
        return any(attribute.is_action for attribute in self.labels.get(label, {}).values())

    @property
    def labels_are_actions(self) -> bool:
        """Whether each label is an action: none of them is a person."""
        return not any(self.is_person(label) for label in self.labels)

    def action_names(self) -> tuple[str, ...]:
        """List the actions that can be chosen.

        Returns:
            The names, in the order of the project, each once.
        """
        if self.labels_are_actions:
            return tuple(self.labels)
        found = (a for label in self.labels if self.is_person(label) for a in self.labels[label].values())
        return tuple(dict.fromkeys(name for attribute in found for name in attribute.actions))

    def read(
        self, label: str, values: Mapping[str, str], dropped: Counter[str]
    ) -> tuple[tuple[str, ...], str | None] | None:
        """Read what a box says.

        Args:
            label: The label of the box.
            values: Attribute -> value; of several values, with commas between them.
            dropped: Gets what is not carried over.

        Returns:
            The actions and the person's id, None where no attribute has it; or None where the box is no person.
        """
        attributes = self.labels.get(label, {})
        if self.labels_are_actions and label in self.labels:
            actions = [label]
        elif self.is_person(label) or any(name not in attributes and _is_switch(v) for name, v in values.items()):
            actions = []
        else:
            dropped[f"boxes of the label {quoted(label)}"] += 1
            return None
        person: str | None = None
        for name, value in values.items():
            attribute = attributes.get(name) or _guessed(name, value)
            if attribute.kind == "text" and _is_switch(value):
                # Datumaro calls every attribute a text.
                attribute = _guessed(name, value)
            if attribute.is_action:
                actions += _chosen(attribute, value)
            elif attribute.is_person_id:
                person = person or value.strip() or None
            elif _plain(name) not in _MEASURES and value.strip():
                dropped[f"values of the attribute {quoted(name)}"] += 1
        return tuple(dict.fromkeys(actions)), person


def is_person_label(label: str) -> bool:
    """Tell whether a label is a word for a person, or an animal as an actor.

    Args:
        label: The label.

    Returns:
        True for ``person``, ``Person 1``, ``pedestrian`` and the like.
    """
    words = re.findall(r"[^\W\d_]+", label.casefold())
    return len(words) == 1 and words[0] in _PERSON_LABELS.split()


def is_action_name(value: str) -> bool:
    """Tell whether the value of a choice names an action, not that there is none.

    Args:
        value: The value.

    Returns:
        False for an empty value, ``none`` and the like.
    """
    return value.strip().casefold() not in _NO_ACTION


def is_true(value: str) -> bool:
    """Tell whether the value of a checkbox is set.

    Args:
        value: The value, as the file has it.

    Returns:
        True for ``true``, ``1``, ``yes`` and ``on`` in any case.
    """
    return value.strip().casefold() in _TRUE


def quoted(name: str) -> str:
    """Quote a name of a file for a message.

    Args:
        name: The name.

    Returns:
        It in quotes, shortened, without control characters.
    """
    return repr(shown(name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + "..."))


def split_values(value: str) -> list[str]:
    """Split several values in one text.

    Args:
        value: The text, with commas or semicolons between the values; those in parentheses belong to a value.

    Returns:
        The values that are not empty.
    """
    return [part.strip() for part in re.split(r"[,;](?![^()]*\))", value) if part.strip()]


def _chosen(attribute: Attribute, value: str) -> Sequence[str]:
    if attribute.kind == "checkbox":
        return [attribute.name] if is_true(value) else []
    # A name of an action may hold a comma, as AVA's do: "talk to (e.g., self, a person, a group)".
    is_one = attribute.kind == "choice" or value in attribute.values
    return [part for part in ([value.strip()] if is_one else split_values(value)) if is_action_name(part)]


def _guessed(name: str, value: str) -> Attribute:
    """Return an attribute that the file uses without defining it."""
    return Attribute(name, "checkbox" if _is_switch(value) else "text")


def _is_switch(value: str) -> bool:
    return value.strip().casefold() in ("true", "false")


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def actions_in(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the names of actions among texts, each once.

    Args:
        texts: The texts.

    Returns:
        Those that name an action, in their order.
    """
    return tuple(dict.fromkeys(text.strip() for text in texts if is_action_name(text)))
