"""Two-way renaming of tensors by pairs of templates, the basis of the key maps.

A family is a list of rules, each a pair of templates with ``{fields}``. The same rule translates the family's name to
ours and ours to the family's. A field with a vocabulary is translated (``pathway``: ``0`` is ``slow``), one without is
copied. A field that is only in the family's template (``last``) is determined by the names of the other tensors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

COUNTER = "num_batches_tracked"  # of batch norm; not used by a trained network, and unknown to caffe2
_PATTERNS = {
    "leaf": r"(?:weight|bias|running_mean|running_var|num_batches_tracked)",
    "stage": r"[2-5]",
    "after": r"[1-4]",
    "block": r"\d+",
    "last": r"\d+",
    "conv": r"[abc]",
    "affine": r"(?:theta|phi|g|out)",
    "pooled": r"(?:phi|g)",
    "relation": r"(?:conv1|conv2|convs\.\d+)",
    "layer": r"(?:conv|bn)",
    "sublayer": r"(?:norm1|norm2|attn\.qkv|attn\.proj|mlp\.fc1|mlp\.fc2)",
    "bias": r"(?:q_bias|v_bias)",
}
_OUR_BLOCK = re.compile(r"backbone\.res(\d)\.\w+\.block(\d+)\..*")


@dataclass(frozen=True)
class KeyMap:
    """The two-way key map of one family.

    Attributes:
        family: Name of the family.
        rules: Pairs of templates (theirs, ours); the first one that matches is used.
        vocabulary: Field -> the family's spelling -> ours.
        aliases: Further rules that are used for reading only.
    """

    family: str
    rules: Sequence[tuple[str, str]]
    vocabulary: Mapping[str, Mapping[str, str]]
    aliases: Sequence[tuple[str, str]] = ()
    _to_ours: list[tuple[re.Pattern[str], str]] = field(init=False, repr=False)
    _to_theirs: list[tuple[re.Pattern[str], str]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Compile the templates for both directions."""
        theirs = {name: list(words) for name, words in self.vocabulary.items()}
        ours = {name: list(words.values()) for name, words in self.vocabulary.items()}
        object.__setattr__(self, "_to_ours", [(_compile(t, theirs), o) for t, o in (*self.rules, *self.aliases)])
        object.__setattr__(self, "_to_theirs", [(_compile(o, ours), t) for t, o in self.rules])

    def to_ours(self, key: str) -> str | None:
        """Translate a name of the family.

        Args:
            key: Name of a tensor in the family's layout.

        Returns:
            Our name, or None where no rule matches.
        """
        return _translate(key, self._to_ours, self.vocabulary, {})

    def to_theirs(self, key: str, last_blocks: Mapping[str, str] | None = None) -> str | None:
        """Translate one of our names.

        Args:
            key: Our name of a tensor.
            last_blocks: Stage -> number of its last block, from ``last_blocks``; needed by a family that names lateral
                connections after the block before them.

        Returns:
            The family's name, or None where the family has no such tensor.
        """
        backwards = {name: {ours: t for t, ours in words.items()} for name, words in self.vocabulary.items()}
        return _translate(key, self._to_theirs, backwards, last_blocks or {})


def last_blocks(our_names: Iterable[str]) -> dict[str, str]:
    """Find the last residual block of each stage.

    Args:
        our_names: Our names of a network's tensors.

    Returns:
        Stage -> number of its last block, as text: ``{"2": "2", "3": "3", ...}``.
    """
    last: dict[str, int] = {}
    for name in our_names:
        match = _OUR_BLOCK.fullmatch(name)
        if match:
            last[match[1]] = max(last.get(match[1], 0), int(match[2]))
    return {stage: str(block) for stage, block in last.items()}


def _compile(template: str, words: Mapping[str, Sequence[str]]) -> re.Pattern[str]:
    """The regular expression of a template; ``words`` are the spellings of each field with a vocabulary."""

    def pattern(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in words and name not in _PATTERNS:
            raise ValueError(
                f"the template {template!r} has the field {name!r} without a vocabulary; fields that need "
                f"none are {', '.join(_PATTERNS)}"
            )
        if name not in words:
            return f"(?P<{name}>{_PATTERNS[name]})"
        return f"(?P<{name}>{'|'.join(map(re.escape, sorted(words[name], key=len, reverse=True)))})"

    literal = re.escape(template).replace(r"\{", "{").replace(r"\}", "}")
    return re.compile(re.sub(r"\{(\w+)\}", pattern, literal))


def _translate(
    key: str,
    rules: Sequence[tuple[re.Pattern[str], str]],
    vocabulary: Mapping[str, Mapping[str, str]],
    last: Mapping[str, str],
) -> str | None:
    """Apply the first rule that matches ``key``; ``last`` is as ``last_blocks`` returns it."""
    for pattern, template in rules:
        match = pattern.fullmatch(key)
        if match is None:
            continue
        fields = match.groupdict()
        if "{last}" in template:
            if fields["after"] not in last:
                return None
            fields["last"] = last[fields["after"]]
        return template.format(**{n: vocabulary[n][text] if n in vocabulary else text for n, text in fields.items()})
    return None
