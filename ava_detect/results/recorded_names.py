"""Find the names of the actions of results, where no label map was given: they are recorded beside most results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ava_detect.errors import ConfigError, FormatError, shown
from ava_detect.formats.annotation_files import iter_ground_truth
from ava_detect.formats.parquet_reader import is_parquet_file
from ava_detect.results.manifest import read_manifest
from ava_detect.results.results_file import name_actions, open_results
from ava_detect.storage.file_names import MANIFEST
from ava_detect.structures.labels import NO_ACTION, LabelMap

LABEL_MAP = "label_map.pbtxt"
ASSUMED_AVA = (
    "The results have no names of actions, so AVA's are shown: if the actions are others, give the label map that the "
    "results were made with (`label_map`)."
)


@dataclass(frozen=True)
class RecordedNames:
    """Names of actions, and where they were found.

    Attributes:
        label_map: The actions with their names.
        source: The file that has them.
        is_complete: Whether the file names all actions of the network, and not only those that occur in the results.
    """

    label_map: LabelMap
    source: Path
    is_complete: bool

    @property
    def is_of_ava(self) -> bool:
        """Whether all of the actions are AVA's, by id and name."""
        ava = {(action.id, action.name) for action in LabelMap.ava()}
        return all((action.id, action.name) in ava for action in self.label_map)

    def with_actions_of(self, ground_truth: str | Path) -> RecordedNames:
        """Add the actions that only the ground truth has, where not all actions are named.

        Args:
            ground_truth: The file; its actions without a name become ``action 7``.

        Returns:
            The names, or the same ones where they are complete.

        Raises:
            FormatError: The ground truth cannot be read.
        """
        if self.is_complete:
            return self
        names = {action.id: action.name for action in self.label_map}
        for piece in iter_ground_truth(ground_truth):
            ids = np.unique(piece.action_ids[piece.action_ids != NO_ACTION]).tolist()
            names = {action_id: f"action {action_id}" for action_id in ids} | names
        return RecordedNames(name_actions(names, None)[0], self.source, self.is_complete)


def recorded_names(results: str | Path, ground_truth: str | Path | None = None) -> RecordedNames | None:
    """Find the names of the actions of a file of results.

    The label map of the run (from its config or its weights) comes first, then the names in a Parquet or jsonl file of
    the same results, then a ``label_map.pbtxt`` in the folder of the results or of the ground truth.

    Args:
        results: The file of results.
        ground_truth: The ground truth that belongs to it; None where there is none.

    Returns:
        The names; None where there are none.
    """
    path = Path(results)
    for find in (_of_run, _of_results):
        if (found := find(path)) is not None:
            return found
    return _beside([path.parent] + ([] if ground_truth is None else [Path(ground_truth).parent]))


def complete_label_map(results: str | Path) -> LabelMap | None:
    """Find a label map that names all actions of the network, not only those that occur in a file of results.

    Args:
        results: The file of results.

    Returns:
        The label map of the run, or the ``label_map.pbtxt`` in the folder; None where there is neither.
    """
    path = Path(results)
    found = _of_run(path) or _beside([path.parent])
    return None if found is None else found.label_map


def own_classes(detections: Sequence[str | Path], ground_truth: str | Path) -> RecordedNames | None:
    """Find the classes over which runs are evaluated where no label map was given and they are not AVA's.

    Args:
        detections: The files of results, each a run of its own.
        ground_truth: The ground truth; its actions are classes, too.

    Returns:
        The classes; None where no names are recorded, or they are AVA's.

    Raises:
        FormatError: The ground truth cannot be read.
        ConfigError: Two runs give one id different names.
    """
    found = [names for path in detections if (names := recorded_names(path, ground_truth)) is not None]
    if all(names.is_of_ava for names in found):
        return None
    first = found[0].with_actions_of(ground_truth)
    known = {action.id: action.name for action in first.label_map}
    for other in found[1:]:
        for action in other.label_map:
            if known.setdefault(action.id, action.name) != action.name:
                raise ConfigError(
                    f"id {action.id} is {shown(known[action.id])!r} in {shown(first.source)} and "
                    f"{shown(action.name)!r} in {shown(other.source)}; give the classes that count (`label_map`)"
                )
    return RecordedNames(name_actions(known, None)[0], first.source, first.is_complete)


def _of_run(path: Path) -> RecordedNames | None:
    """Return the label map in the manifest of the run, which has the config and with it that of the weights."""
    try:
        content = read_manifest(path.parent)
    except FormatError:
        return None
    label_map = None if content is None else label_map_of_settings(content.settings)
    return None if label_map is None else RecordedNames(label_map, path.parent / MANIFEST, is_complete=True)


def label_map_of_settings(settings: Mapping[str, Any]) -> LabelMap | None:
    """Find the label map in the recorded settings of a run.

    Args:
        settings: The settings, as the manifest of a folder or ``run.json`` of a dataset has them.

    Returns:
        All actions of the network; None where the settings do not name them.
    """
    # A benchmark records the sections of its config one by one.
    config: Any = settings.get("config", settings)
    labels = config.get("labels") if isinstance(config, Mapping) else None
    if not isinstance(labels, Mapping):
        return None
    label_map = None
    if isinstance(text := labels.get("text"), str):
        label_map = _readable(text)
    elif isinstance(file := labels.get("map"), str) and Path(file).is_file():
        label_map = _readable(Path(file))
        if label_map is not None and isinstance(ids := labels.get("ids"), list) and ids:
            label_map = LabelMap(tuple(action for action in label_map if action.id in ids))
    return label_map


def _beside(folders: Sequence[Path]) -> RecordedNames | None:
    """Return the label map that lies in one of the folders."""
    for file in (folder / LABEL_MAP for folder in folders):
        if file.is_file() and (label_map := _readable(file)) is not None:
            return RecordedNames(label_map, file, is_complete=True)
    return None


def _of_results(path: Path) -> RecordedNames | None:
    """Return the names in the file itself, or in a file of the same results in another format."""
    stem = path.name.removesuffix(".gz").removesuffix(path.suffix if path.suffix != ".gz" else ".csv")
    siblings = [path.with_name(f"{stem}{suffix}") for suffix in (".parquet", ".jsonl")]
    for file in (path, *siblings):
        is_named = is_parquet_file(file) or (file.suffix == ".jsonl" and file.is_file())
        try:
            names = open_results(file).action_names if is_named and file.suffix in (".parquet", ".jsonl") else {}
        except FormatError:
            continue
        if any(names.values()):
            return RecordedNames(name_actions(names, None)[0], file, is_complete=False)
    return None


def _readable(source: str | Path) -> LabelMap | None:
    """Read a label map, a file or text; None where it is none."""
    try:
        return LabelMap.from_text(source, "labels") if isinstance(source, str) else LabelMap.from_pbtxt(source)
    except FormatError:
        return None
