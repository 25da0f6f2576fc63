"""How a public name goes away: it works as before for a time, and each use says what to write instead.

``DEPRECATIONS`` lists every such name with the version in which it goes; a test fails once that version is reached.
docs/stability.md says how long the time is.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from ava_detect.errors import DeprecatedWarning


@dataclass(frozen=True)
class Deprecation:
    """Something public that still works and will go.

    Attributes:
        name: What it is, as users write it: ``ava_detect.old_name``, ``annotate --old``.
        instead: What to write instead.
        since: The version that deprecated it, such as ``0.2``.
        gone_in: The version in which it goes.
    """

    name: str
    instead: str
    since: str
    gone_in: str

    def warn(self, *, calls: int = 1) -> None:
        """Warn of a use.

        Args:
            calls: How many functions of this package are between this method and the code that uses the name, which
                the warning points at; 1 for the function that calls this method.
        """
        warnings.warn(
            DeprecatedWarning(
                f"{self.name} is deprecated since version {self.since} and will be gone in {self.gone_in}; write "
                f"{self.instead} instead"
            ),
            stacklevel=calls + 2,
        )


#: The option of detectors that chose one class, before ``classes`` chose several.
PERSON_CLASS = Deprecation("the detector option person_class", "classes", since="0.1", gone_in="1.0")
DEPRECATIONS = (PERSON_CLASS,)
