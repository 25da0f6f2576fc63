"""Describe a weights file without loading it into a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ava_detect.errors import WeightsError, shown
from ava_detect.models.weights.checkpoint_settings import CheckpointSettings
from ava_detect.models.weights.key_map import FAMILIES, recognise
from ava_detect.models.weights.loading import our_names
from ava_detect.models.weights.mismatch import TransformerShape, describe_start
from ava_detect.models.weights.reading import WeightsFile, impossible_numbers, read_weights_file
from ava_detect.storage.file_hashes import sha256_of

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_MAX_NAMES = 5  # in a printed row


@dataclass(frozen=True)
class FileSummary:
    """The main properties of a weights file; prints as text.

    Attributes:
        path: The file.
        num_bytes: Its size.
        container: ``torch``, ``torch (old format)``, ``safetensors`` or ``caffe2``.
        family: Family of its tensor names, a key of ``FAMILIES``; None where it is unknown.
        num_tensors: Number of tensors.
        num_parameters: Number of trained parameters, without running statistics.
        dtypes: Number type -> number of tensors.
        head_rows: Outputs of the last layer; None where there is none.
        settings: The settings in the file.
        unknown: Tensors that the family does not know.
        ignored: Entries that are not weights.
        notes: Other remarks, one sentence each.
        config: The config in the file, for files of our own format.
        checked: What was compared to find damage, and what could not be.
    """

    path: str
    num_bytes: int
    container: str
    family: str | None
    num_tensors: int
    num_parameters: int
    dtypes: dict[str, int]
    head_rows: int | None
    settings: CheckpointSettings
    unknown: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    config: dict[str, Any] | None = None
    checked: str = ""

    def __str__(self) -> str:
        dtypes = ", ".join(f"{count} {dtype}" for dtype, count in self.dtypes.items())
        settings = ", ".join(f"{name} {_formatted(value)}" for name, value in self.settings.known().items())
        rows = {
            "file": f"{self.path} ({self.num_bytes:,} bytes, {self.container})",
            "family": FAMILIES[self.family].family if self.family else "none that is known here",
            "tensors": f"{self.num_tensors} ({dtypes})",
            "parameters": f"{self.num_parameters:,}",
            "head": "none" if self.head_rows is None else f"{self.head_rows} rows",
            "settings": settings or "none inside; the config decides",
            "checked": self.checked,
        }
        for title, names in (("unknown", self.unknown), ("ignored", self.ignored)):
            if names:
                more = ", ..." if len(names) > _MAX_NAMES else ""
                rows[title] = f"{len(names)}: {shown(', '.join(names[:_MAX_NAMES]))}{more}"
        lines = [f"{title:<11}{text}" for title, text in rows.items()]
        return "\n".join(lines + [f"{'note':<11}{shown(note)}" for note in self.notes])


def inspect_file(path: str | Path) -> FileSummary:
    """Describe a weights file of any family.

    Args:
        path: The file.

    Returns:
        Its main properties.

    Raises:
        WeightsError: The file cannot be read, or holds NaN or numbers that no network has; the message gives the reason
            in one sentence.
    """
    file = read_weights_file(path)
    for name, tensor in file.tensors.items():
        if what := impossible_numbers(tensor):
            raise WeightsError(
                f"{path}: {shown(name)} holds {what}, and no trained network has these: the file is damaged, or its "
                "training had diverged; download it again, or use an earlier checkpoint"
            )
    family = recognise(file.tensors.keys())
    names = our_names(file, family) if family else dict.fromkeys(file.tensors)
    heads = [file.tensors[name] for name, ours in names.items() if ours == "head.projection.weight"]
    head_rows = heads[0].shape[0] if heads and heads[0].dim() else None
    unknown = tuple(name for name, ours in names.items() if ours is None)
    trained = [t for name, t in file.tensors.items() if not _is_statistic(names[name] or name)]
    return FileSummary(
        path=str(path),
        num_bytes=Path(path).stat().st_size,
        container=file.container,
        family=family,
        num_tensors=len(file.tensors),
        num_parameters=sum(tensor.numel() for tensor in trained),
        dtypes=dict(Counter(str(tensor.dtype).removeprefix("torch.") for tensor in file.tensors.values())),
        head_rows=head_rows,
        settings=file.settings,
        unknown=unknown,
        ignored=file.ignored,
        notes=(*file.notes, *_describe_transformer(file, names, unknown, head_rows or 0)),
        config=None if file.config is None else dict(file.config),
        checked=_checked(file),
    )


def _describe_transformer(
    file: WeightsFile, names: Mapping[str, str | None], unknown: Sequence[str], head_rows: int
) -> list[str]:
    """The size of a plain vision transformer, and what its file is if no detector's; nothing for other networks."""
    size = TransformerShape.of({ours: tuple(file.tensors[name].shape) for name, ours in names.items() if ours})
    return [f"a plain vision transformer, {size}", *describe_start(unknown, head_rows)] if size else []


def _checked(file: WeightsFile) -> str:
    """Describe what reading a file has compared."""
    if file.num_checksums:
        return f"sizes, number ranges, and the checksums of all {file.num_checksums} parts"
    return (
        "sizes and number ranges; the file has no checksums, so changed bytes may go unnoticed: compare its sha256 "
        f"{sha256_of(file.path)} with its publisher's"
    )


def _is_statistic(name: str) -> bool:
    return name.endswith(_STATISTICS)


def _formatted(value: Any) -> str:
    return "/".join(f"{one:g}" for one in value) if isinstance(value, tuple) else shown(value)
