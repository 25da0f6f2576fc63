"""Two-way renaming of tensors between a family's checkpoint layout and ours.

A family is a list of rules, each a pair of templates with the same ``{fields}``. Reading a rule from left to
right gives our names, from right to left theirs; nothing is written twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_FIELD_PATTERNS = {
    "leaf": r"(?:weight|bias|running_mean|running_var|num_batches_tracked)",
    "stage": r"[1-5]",
    "block": r"\d+",
    "conv": r"[abc]",
    "affine": r"(?:theta|phi|g|out)",
}


@dataclass(frozen=True)
class KeyMap:
    """The rules of one family: ``(theirs, ours)`` templates, and how the family spells each pathway."""

    family: str
    rules: Sequence[tuple[str, str]]
    pathways: Mapping[str, str]
    _to_ours: list[tuple[re.Pattern[str], str]] = field(init=False, repr=False)
    _to_theirs: list[tuple[re.Pattern[str], str]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        theirs = "|".join(map(re.escape, self.pathways))
        ours = "|".join(map(re.escape, self.pathways.values()))
        object.__setattr__(self, "_to_ours", [(_compile(t, theirs), o) for t, o in self.rules])
        object.__setattr__(self, "_to_theirs", [(_compile(o, ours), t) for t, o in self.rules])

    def to_ours(self, key: str) -> str | None:
        """Our name for a tensor of the family's layout, or None when no rule knows it."""
        return _translate(key, self._to_ours, self.pathways)

    def to_theirs(self, key: str) -> str | None:
        """The family's name for one of our tensors, or None when the family has no such tensor."""
        return _translate(key, self._to_theirs, {ours: theirs for theirs, ours in self.pathways.items()})


def _compile(template: str, pathways: str) -> re.Pattern[str]:
    def pattern(match: re.Match[str]) -> str:
        name = match.group(1)
        return f"(?P<{name}>{_FIELD_PATTERNS.get(name, pathways)})"

    literal = re.escape(template).replace(r"\{", "{").replace(r"\}", "}")
    return re.compile(re.sub(r"\{(\w+)\}", pattern, literal))


def _translate(key: str, rules: list[tuple[re.Pattern[str], str]], pathways: Mapping[str, str]) -> str | None:
    for pattern, template in rules:
        match = pattern.fullmatch(key)
        if match:
            fields = match.groupdict()
            if "pathway" in fields:
                fields["pathway"] = pathways[fields["pathway"]]
            return template.format(**fields)
    return None


_BLOCK = "s{stage}.pathway{pathway}_res{block}"
_OUR_BLOCK = "backbone.res{stage}.{pathway}.block{block}"
_NONLOCAL = "s{stage}.pathway{pathway}_nonlocal{block}"
_OUR_NONLOCAL = "backbone.res{stage}.{pathway}.nonlocal{block}"

# Names as in PySlowFast 287ec007, slowfast/models/{video_model_builder,stem_helper,resnet_helper,head_helper}.py.
PYSLOWFAST = KeyMap(
    family="PySlowFast",
    rules=(
        ("s1.pathway{pathway}_stem.conv.{leaf}", "backbone.stem.{pathway}.conv.{leaf}"),
        ("s1.pathway{pathway}_stem.bn.{leaf}", "backbone.stem.{pathway}.bn.{leaf}"),
        ("s{stage}_fuse.conv_f2s.{leaf}", "backbone.lateral{stage}.conv.{leaf}"),
        ("s{stage}_fuse.bn.{leaf}", "backbone.lateral{stage}.bn.{leaf}"),
        (_BLOCK + ".branch1.{leaf}", _OUR_BLOCK + ".shortcut.conv.{leaf}"),
        (_BLOCK + ".branch1_bn.{leaf}", _OUR_BLOCK + ".shortcut.bn.{leaf}"),
        (_BLOCK + ".branch2.{conv}.{leaf}", _OUR_BLOCK + ".{conv}.conv.{leaf}"),
        (_BLOCK + ".branch2.{conv}_bn.{leaf}", _OUR_BLOCK + ".{conv}.bn.{leaf}"),
        (_NONLOCAL + ".conv_{affine}.{leaf}", _OUR_NONLOCAL + ".{affine}.{leaf}"),
        (_NONLOCAL + ".bn.{leaf}", _OUR_NONLOCAL + ".bn.{leaf}"),
        ("head.projection.{leaf}", "head.projection.{leaf}"),
    ),
    pathways={"0": "slow", "1": "fast"},
)
