"""What became of every tensor when a weights file was read into a model."""

from __future__ import annotations

from dataclasses import dataclass

Shape = tuple[int, ...]
_SHOWN = 12


@dataclass(frozen=True)
class WeightsReport:
    """The outcome of loading one file; prints as a table.

    Names are those of the file's family, so that they can be looked up in the file. ``loaded``: tensors that found
    their place. ``missing``: the model has them, the file does not. ``unexpected``: the file has them, the model does
    not. ``mismatched``: name, shape in the file, shape in the model. ``ignored``: entries of the file that are no
    weights (momentum, learning rate). ``fresh``: our names of the tensors that were left as the model had them, on
    purpose. ``notes``: what else a reader should know.
    """

    path: str
    family: str
    loaded: tuple[str, ...]
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[tuple[str, Shape, Shape], ...] = ()
    ignored: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every tensor of the file and of the model found its counterpart, or was left out by name."""
        return not (self.missing or self.unexpected or self.mismatched)

    @property
    def num_expected(self) -> int:
        """How many tensors the model wanted of the file."""
        return len(self.loaded) + len(self.missing) + len(self.mismatched)

    def problems(self) -> str:
        """The tensors without a counterpart in one sentence; empty when there are none."""
        mismatched = [f"{name} (file {list(got)}, model {list(want)})" for name, got, want in self.mismatched]
        parts = [
            f"{len(names)} {what}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
            for what, names in (
                ("missing from the file", list(self.missing)),
                ("unknown to the model", list(self.unexpected)),
                ("of another shape", mismatched),
            )
            if names
        ]
        return "; ".join(parts)

    def __str__(self) -> str:
        rows = [f"{self.path}: {self.family} layout, {len(self.loaded)} of {self.num_expected} tensors loaded"]
        mismatched = [f"{name}  file {list(got)}, model {list(want)}" for name, got, want in self.mismatched]
        for title, names in (
            ("missing", list(self.missing)),
            ("unexpected", list(self.unexpected)),
            ("mismatched", mismatched),
            ("left fresh", list(self.fresh)),
            ("ignored", list(self.ignored)),
        ):
            rows += [f"  {title:<11} {name}" for name in names[:_SHOWN]]
            if len(names) > _SHOWN:
                rows.append(f"  {title:<11} ... and {len(names) - _SHOWN} more")
        rows += [f"  {'note':<11} {note}" for note in self.notes]
        return "\n".join(rows)
