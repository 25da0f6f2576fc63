"""Plug-ins: detectors, families of checkpoints and formats of results that other installed packages add.

A package names each one in its metadata, under the entry points ``ava_detect.detectors``, ``ava_detect.weights`` or
``ava_detect.formats`` (docs/plugins.md). The metadata is read where a name is not one of ours, or all names are wanted;
code of a plug-in is imported when it is used, not before.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from ava_detect.environment import uninstall_line
from ava_detect.errors import AvaDetectError, AvaDetectWarning, shown

DETECTORS, WEIGHTS, FORMATS = "ava_detect.detectors", "ava_detect.weights", "ava_detect.formats"
GROUPS = (DETECTORS, WEIGHTS, FORMATS)

T = TypeVar("T")


@dataclass(frozen=True)
class PlugIn:
    """One entry point of another package.

    Attributes:
        entry_point: The entry point; its name is that of the detector kind, the family or the format.
    """

    entry_point: EntryPoint

    @property
    def name(self) -> str:
        """The name under which it is used."""
        return self.entry_point.name

    @property
    def package(self) -> str:
        """The name of the package that adds it; empty where the metadata has none."""
        return "" if self.entry_point.dist is None else self.entry_point.dist.name

    @property
    def origin(self) -> str:
        """The package and its version, for messages."""
        distribution = self.entry_point.dist
        return "an unnamed package" if distribution is None else shown(f"{distribution.name} {distribution.version}")

    def load(self) -> Any:
        """Import what the entry point names.

        Returns:
            The object.

        Raises:
            AvaDetectError: The import fails, in whatever way.
        """
        try:
            return self.entry_point.load()
        except Exception as error:
            raise self.error(f"cannot be imported ({type(error).__name__}: {shown(error)})") from error

    def error(self, problem: str) -> AvaDetectError:
        """Return the error for a plug-in that cannot be used.

        Args:
            problem: What is wrong, after the name of the plug-in.

        Returns:
            The error, whose message says which package to update or to remove.
        """
        remedy = f"update it, or remove it: {uninstall_line(self.package)}" if self.package else "remove it"
        group = self.entry_point.group
        return AvaDetectError(f"the plug-in {shown(self.name)!r} ({group}) of {self.origin} {problem}; {remedy}")


@cache
def plug_ins(group: str) -> Mapping[str, PlugIn]:
    """Return the plug-ins that are installed; the metadata of a process's packages is read once.

    Args:
        group: One of ``GROUPS``.

    Returns:
        By name, in alphabetical order. Of two packages with one name, the first by the package's name.
    """
    found = sorted(map(PlugIn, entry_points(group=group)), key=lambda one: (one.name, one.package))
    by_name: dict[str, PlugIn] = {}
    for one in found:
        other = by_name.setdefault(one.name, one)
        if other.entry_point != one.entry_point:
            _warn(one.error(f"has the name of a plug-in of {other.origin}, which is used"))
    return by_name


class WithPlugIns(Mapping[str, T], Generic[T]):
    """Things by name: those of this package, which no plug-in replaces, then those of plug-ins.

    Names are listed without importing a plug-in; one that is asked for is imported then.

    Args:
        ours: Those of this package.
        group: One of ``GROUPS``.
        make: Makes an entry of a plug-in and the object that it names, and raises what ``PlugIn.error`` returns where
            the object is not as such plug-ins must be.
    """

    def __init__(self, ours: Mapping[str, T], group: str, make: Callable[[PlugIn, Any], T]) -> None:
        self.ours = ours
        self._group = group
        self._make = make
        self._made: dict[PlugIn, T] = {}

    def __getitem__(self, name: str) -> T:
        if name in self.ours:
            return self.ours[name]
        plug_in = self.added[name]
        if plug_in not in self._made:
            self._made[plug_in] = self._make(plug_in, plug_in.load())
        return self._made[plug_in]

    def __iter__(self) -> Iterator[str]:
        yield from self.ours
        yield from self.added

    def __len__(self) -> int:
        return len(self.ours) + len(self.added)

    def __contains__(self, name: object) -> bool:
        return name in self.ours or name in self.added

    @property
    def added(self) -> Mapping[str, PlugIn]:
        """The plug-ins by name."""
        return {name: plug_in for name, plug_in in plug_ins(self._group).items() if name not in self.ours}

    def usable(self) -> dict[str, T]:
        """Return everything that works, for work that must not fail because of a plug-in that was not asked for.

        Returns:
            Ours and those of plug-ins. A warning names each plug-in that is left out, with the reason.
        """
        found = dict(self.ours)
        for name in self.added:
            try:
                found[name] = self[name]
            except AvaDetectError as error:
                _warn(error)
        return found


def _warn(error: AvaDetectError) -> None:
    warnings.warn(AvaDetectWarning(str(error)), stacklevel=2)
