"""The outcome for every tensor when a weights file is loaded into a model."""

from __future__ import annotations

from dataclasses import dataclass

from ava_detect.errors import shown

Shape = tuple[int, ...]
_MAX_ROWS = 12  # names of each kind in the printed table


@dataclass(frozen=True)
class WeightsReport:
    """The outcome of loading one file; prints as a table.

    Names are those of the file's family, so that they can be looked up in the file.

    Attributes:
        path: The file.
        family: Family of its tensor names.
        loaded: Tensors that were loaded.
        missing: Tensors of the model that the file does not have.
        unexpected: Tensors of the file that the model does not have.
        mismatched: Name, shape in the file and shape in the model.
        ignored: Entries of the file that are not weights (momentum, learning rate), or that were left out on purpose.
        fresh: Our names of the model's tensors that were left unchanged on purpose.
        notes: Other remarks, one sentence each.
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
        """Whether every tensor of the file and of the model has a counterpart or was left out on purpose."""
        return not (self.missing or self.unexpected or self.mismatched)

    @property
    def num_expected(self) -> int:
        """Number of tensors that the model needs from the file."""
        return len(self.loaded) + len(self.missing) + len(self.mismatched)

    def problems(self) -> str:
        """Describe the tensors without a counterpart.

        Returns:
            One sentence with the numbers and examples; empty where there are none.
        """
        mismatched = [f"{name} (file {list(got)}, model {list(want)})" for name, got, want in self.mismatched]
        parts = [
            f"{len(names)} {what}: {shown(', '.join(names[:3]))}{', ...' if len(names) > 3 else ''}"
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
            rows += [f"  {title:<11} {shown(name)}" for name in names[:_MAX_ROWS]]
            if len(names) > _MAX_ROWS:
                rows.append(f"  {title:<11} ... and {len(names) - _MAX_ROWS} more")
        rows += [f"  {'note':<11} {shown(note)}" for note in self.notes]
        return "\n".join(rows)
