"""Load a weights file into a model: safely, strictly, and with a report of every tensor."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ava_detect.errors import WeightsError, shown, suggestion
from ava_detect.models.weights.checkpoint_settings import BACKBONE_SETTINGS, CHECKED_SETTINGS, settings_of_model
from ava_detect.models.weights.key_map import FAMILIES, map_for_writing, recognise, translate
from ava_detect.models.weights.mismatch import describe_misfit
from ava_detect.models.weights.reading import WeightsFile, impossible_numbers, read_weights_file
from ava_detect.models.weights.renaming import COUNTER, last_blocks
from ava_detect.models.weights.report import Shape, WeightsReport
from ava_detect.models.weights.starts import is_dropped, left_fresh, start_notes
from ava_detect.models.zoo import resolve

_HEAD = "head."


def load_weights(
    model: nn.Module,
    path: str | Path,
    family: str = "auto",
    *,
    strict: bool = True,
    inflate: bool = False,
    override_settings: bool = False,
) -> WeightsReport:
    """Fill ``model`` from a checkpoint file and report the outcome for every tensor.

    Args:
        model: An ``ActionDetector`` or ``ActionClassifier``; unchanged where an error is raised.
        path: A file, its address, ``"demo"``, or a name of the zoo, which is downloaded into the cache if it is not
            there.
        family: Family of the tensor names in the file, a key of ``FAMILIES``, or ``"auto"`` to recognise it.
        strict: Whether a tensor without a counterpart of its shape, in the model or in the file, is an error.
        inflate: Whether 2D convolutions of the file (``[O, I, h, w]``, or one frame long) are repeated over the
            model's T frames and divided by T.
        override_settings: Whether to continue where the settings in the file contradict the model's.

    Returns:
        The report.

    Raises:
        WeightsError: The file is not a checkpoint, its settings contradict the model's, a tensor contains NaN or
            infinity, or, with ``strict``, tensors do not fit.
    """
    file = read_weights_file(resolve(path))
    task = _Task(model, str(file.path), inflate=inflate, skip_head=False)
    return task.run(file, family, CHECKED_SETTINGS, strict=strict, override_settings=override_settings)


def load_file(model: nn.Module, file: WeightsFile, overridden: Collection[str] = ()) -> WeightsReport:
    """Fill ``model`` from a file that was read before, as ``load_weights`` does by default.

    Args:
        model: An ``ActionDetector`` or ``ActionClassifier``; unchanged where an error is raised.
        file: The content of the file.
        overridden: Names of the settings in the file that are to give way to the model's; see ``CheckpointSettings``.

    Returns:
        The report.

    Raises:
        WeightsError: As in ``load_weights``.
    """
    task = _Task(model, str(file.path), inflate=False, skip_head=False)
    compared = [name for name in CHECKED_SETTINGS if name not in overridden]
    report = task.run(file, "auto", compared, strict=True, override_settings=False)
    replaced = file.settings.contradictions(settings_of_model(model), [*overridden])
    return replace(report, notes=(*report.notes, *map(_overridden, replaced)))


def initialise_from_classifier(
    model: nn.Module,
    path: str | Path,
    family: str = "auto",
    *,
    inflate: bool = False,
    override_settings: bool = False,
) -> WeightsReport:
    """Fill all of ``model`` except its head from a clip classifier (Kinetics), or a vision transformer's pretraining.

    The head keeps its values, and so does a relation after RoI pooling (ACRN) that the file does not have. Everything
    else must fit, as in ``load_weights``; only the settings of the clip's length and size may differ. Of a vision
    transformer's file, decoder, tokens and the classifier's norm are left out (``starts.py``).

    Args:
        model: An ``ActionDetector`` or ``ActionClassifier``; unchanged where an error is raised.
        path: The classifier's file, its address, or its name in the zoo.
        family: Family of the tensor names in the file, a key of ``FAMILIES``, or ``"auto"`` to recognise it.
        inflate: Whether to inflate 2D convolutions; see ``load_weights``.
        override_settings: Whether to continue where the settings in the file contradict the model's.

    Returns:
        The report; its ``fresh`` lists the tensors of the model that keep their values, its ``ignored`` those of the
        file that were left out.

    Raises:
        WeightsError: As in ``load_weights`` with ``strict``.
    """
    file = read_weights_file(resolve(path))
    task = _Task(model, str(file.path), inflate=inflate, skip_head=True)
    return task.run(file, family, BACKBONE_SETTINGS, strict=True, override_settings=override_settings)


def family_of(file: WeightsFile, family: str) -> str:
    """Return the family of a file's tensor names.

    Args:
        file: The file.
        family: A key of ``FAMILIES``, which is returned, or ``"auto"`` to recognise the family by the names.

    Returns:
        A key of ``FAMILIES``.

    Raises:
        WeightsError: The family is unknown, or no family knows any of the names.
    """
    if family != "auto":
        if family not in FAMILIES:
            raise WeightsError(
                f"no weights family is called {family!r}; known: auto, {', '.join(FAMILIES)}"
                + suggestion(family, FAMILIES)
            )
        return family
    found = recognise(file.tensors.keys())
    if found is None:
        examples = shown(", ".join(list(file.tensors)[:3]))
        known = ", ".join(key_map.family for key_map in FAMILIES.usable().values())
        raise WeightsError(
            f"{file.path} holds {len(file.tensors)} tensors ({examples}, ...), and none is named as in a layout that "
            f"can be read here ({known})"
        )
    return found


def our_names(file: WeightsFile, family: str) -> dict[str, str | None]:
    """Translate the names of a file's tensors.

    Args:
        file: The file.
        family: Family of the names, a key of ``FAMILIES``.

    Returns:
        The name in the file -> our name, or None where the family does not know it.

    Raises:
        WeightsError: Two names mean the same tensor.
    """
    try:
        return translate(FAMILIES[family], file.tensors.keys())
    except ValueError as error:
        raise WeightsError(f"{file.path}: {shown(error)}") from error


def same_shape(got: Sequence[int], want: Sequence[int], family: str) -> bool:
    """Return whether a tensor of a file has the shape of a model's.

    Args:
        got: Shape in the file.
        want: Shape in the model.
        family: Family of the file's names, a key of ``FAMILIES``; caffe2 may leave out trailing dimensions of 1.

    Returns:
        True for the same shape.
    """
    got, want = tuple(got), tuple(want)
    return got == want or (family == "caffe2" and got == want[: len(got)] and set(want[len(got) :]) == {1})


@dataclass
class _Task:
    """Loading one file into one model."""

    model: nn.Module
    path: str
    inflate: bool
    skip_head: bool

    def run(
        self, file: WeightsFile, family: str, compared: Sequence[str], *, strict: bool, override_settings: bool
    ) -> WeightsReport:
        """Compare the settings named in ``compared``, match the tensors, and fill the model."""
        family = family_of(file, family)
        wanted = self.model.state_dict()
        misfit = self._misfit(file, family, wanted)
        notes = [*file.notes, *self._compare_settings(file, compared, misfit, override=override_settings)]
        fitting, report = self._match(file, wanted, family, notes)
        if strict and not report.complete:
            raise WeightsError(
                f"{self.path} does not fit this model ({len(report.loaded)} of {report.num_expected} tensors match): "
                f"{misfit}{report.problems()}. Choose the config these weights were trained with; nothing was loaded"
            )
        self.model.load_state_dict({**wanted, **fitting})
        return report

    def _misfit(self, file: WeightsFile, family: str, wanted: Mapping[str, Tensor]) -> str:
        """What the file is instead of the model's, with a semicolon; empty where it fits or its tensors do not tell."""
        names = our_names(file, family)
        shapes = {ours: tuple(file.tensors[name].shape) for name, ours in names.items() if ours is not None}
        unknown = [name for name, ours in names.items() if ours is None]
        wanted_shapes = {name: tuple(tensor.shape) for name, tensor in wanted.items()}
        text = describe_misfit(shapes, unknown, wanted_shapes, is_start=self.skip_head)
        return f"{text}; " if text else ""

    def _compare_settings(self, file: WeightsFile, names: Sequence[str], misfit: str, *, override: bool) -> list[str]:
        """Notes on overridden settings; ``WeightsError`` for contradictions without ``override``."""
        contradictions = file.settings.contradictions(settings_of_model(self.model), names)
        if contradictions and not override:
            raise WeightsError(
                f"{self.path} was made with other settings than this model has: {misfit}{', '.join(contradictions)}; "
                "choose the config these weights were trained with, or override the settings of the file on purpose"
            )
        return [_overridden(one) for one in contradictions]

    def _match(
        self, file: WeightsFile, wanted: dict[str, Tensor], family: str, notes: list[str]
    ) -> tuple[dict[str, Tensor], WeightsReport]:
        """The tensors that fit, by our names and in the model's shapes, and the report of all of them."""
        names = our_names(file, family)
        fresh = [name for name in wanted if self.skip_head and name.startswith(_HEAD)]
        dropped: dict[str, Tensor] = {}
        fitting: dict[str, Tensor] = {}
        loaded: list[str] = []
        unexpected: list[str] = []
        ignored = list(file.ignored)
        mismatched: list[tuple[str, Shape, Shape]] = []
        seen: set[str] = set()
        for name, ours in names.items():
            if self.skip_head and ((ours or "").startswith(_HEAD) or is_dropped(name, ours, wanted)):
                dropped[name] = file.tensors[name]
            elif ours is None or ours not in wanted:
                unexpected.append(name)
            else:
                seen.add(ours)
                tensor = self._shaped(file.tensors[name], wanted[ours], family)
                if tensor is None:
                    mismatched.append((name, tuple(file.tensors[name].shape), tuple(wanted[ours].shape)))
                else:
                    self._check_values(name, tensor, wanted[ours])
                    fitting[ours] = tensor
                    loaded.append(name)
        if self.skip_head:
            fresh += left_fresh(names, seen, wanted)
            notes += start_notes(dropped)
        ignored += dropped
        missing = self._missing(seen.union(fresh), wanted, family, notes)
        notes += _conversions(fitting, wanted)
        lists = (loaded, missing, unexpected, mismatched, ignored, fresh, notes)
        return fitting, WeightsReport(self.path, FAMILIES[family].family, *map(tuple, lists))  # type: ignore[arg-type]

    def _missing(self, seen: set[str], wanted: dict[str, Tensor], family: str, notes: list[str]) -> list[str]:
        """The names, in the file's family, of the model's tensors that the file does not have."""
        missing = [ours for ours in wanted if ours not in seen]
        if missing and not any(ours.endswith(COUNTER) for ours in seen):
            counters = [ours for ours in missing if ours.endswith(COUNTER)]
            missing = [ours for ours in missing if not ours.endswith(COUNTER)]
            if counters:
                notes.append(f"the file has no batch-norm counters; the model's {len(counters)} stay as they are")
        detection = settings_of_model(self.model).task == "detection"
        key_map = map_for_writing(family, wanted.keys(), detection=detection)
        last = last_blocks(wanted)
        return [key_map.to_theirs(ours, last) or ours for ours in missing]

    def _shaped(self, tensor: Tensor, want: Tensor, family: str) -> Tensor | None:
        """``tensor`` reshaped or inflated to the shape of ``want``; None where neither is possible."""
        if same_shape(tensor.shape, want.shape, family):
            return tensor.reshape(want.shape)
        if self.inflate and want.dim() == 5:
            frames = want.shape[2]
            # [O, I, h, w] -> [O, I, 1, h, w] -> [O, I, T, h, w], divided by T so that the sum over time stays the same.
            flat = tensor.unsqueeze(2) if tensor.dim() == 4 else tensor
            if flat.dim() == 5 and flat.shape[2] == 1 and flat.expand(-1, -1, frames, -1, -1).shape == want.shape:
                return flat.expand(-1, -1, frames, -1, -1) / frames
        return None

    def _check_values(self, name: str, tensor: Tensor, want: Tensor) -> None:
        """Refuse numbers that no network has, and integers in place of floats; ``name`` is the file's."""
        if tensor.is_floating_point() != want.is_floating_point():
            raise WeightsError(
                f"{self.path}: {shown(name)} holds {_word(tensor.dtype)} numbers, and the model has "
                f"{_word(want.dtype)} there; nothing was loaded"
            )
        if what := impossible_numbers(tensor):
            raise WeightsError(
                f"{self.path}: {shown(name)} holds {what}, so every score would be invalid; download the file again, "
                "or use an earlier checkpoint of that training; nothing was loaded"
            )


def _overridden(contradiction: str) -> str:
    return f"the file's own setting was overridden: {contradiction}"


def _conversions(fitting: dict[str, Tensor], wanted: dict[str, Tensor]) -> list[str]:
    """Notes on the number types that differ between file and model."""
    pairs = {(tensor.dtype, wanted[name].dtype) for name, tensor in fitting.items() if tensor.is_floating_point()}
    return sorted(f"{_word(got)} numbers were converted to {_word(want)}" for got, want in pairs if got != want)


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
