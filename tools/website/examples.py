"""Reads the examples of docstrings: ``Example:`` as the project writes it, where griffe knows ``Examples:`` only."""

from __future__ import annotations

import re
from typing import Any

import griffe

_HEADING = re.compile(r"^Example:$", re.MULTILINE)


class Examples(griffe.Extension):
    """Otherwise an example is an admonition of Markdown, in which each ``>>>`` is three quotations."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rename the heading.

        Args:
            obj: A module, class, function or attribute that was read.
            kwargs: What else griffe tells.
        """
        if obj.docstring is not None:
            obj.docstring.value = _HEADING.sub("Examples:", obj.docstring.value)
