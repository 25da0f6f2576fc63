"""Reading a weights file into a model: safely, strictly, and with a report of every tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ava_detect.errors import WeightsError, suggestion
from ava_detect.models.weights.checkpoint_settings import BACKBONE_KNOBS, CHECKED, knobs_of_model
from ava_detect.models.weights.key_map import FAMILIES, map_for_writing, recognise, translate
from ava_detect.models.weights.reading import WeightsFile, read_weights_file
from ava_detect.models.weights.renaming import COUNTER, last_blocks
from ava_detect.models.weights.report import Shape, WeightsReport

_HEAD = "head."


def load_weights(
    model: nn.Module,
    path: str | Path,
    family: str = "auto",
    *,
    strict: bool = True,
    inflate: bool = False,
    override_knobs: bool = False,
) -> WeightsReport:
    """Fill ``model`` from a checkpoint file and say what became of every tensor.

    ``family``: the layout of the names in the file, one of ``FAMILIES``, or ``"auto"`` to find it by looking inside.
    ``inflate``: 2D convolutions of the file (``[O, I, h, w]``, or one frame long) are repeated over the model's T
    frames and divided by T. ``override_knobs``: go on where the settings in the file contradict the model's.
    Raises ``WeightsError`` when the file is no checkpoint, when its settings contradict the model's, when a tensor
    holds NaN, and, unless ``strict=False``, when any tensor of the model or of the file has no counterpart of its
    shape; the model is then left as it was.
    """
    task = _Task(model, str(path), inflate=inflate, skip_head=False)
    return task.run(read_weights_file(path), family, CHECKED, strict=strict, override_knobs=override_knobs)


def initialise_from_classifier(
    model: nn.Module,
    path: str | Path,
    family: str = "auto",
    *,
    inflate: bool = False,
    override_knobs: bool = False,
) -> WeightsReport:
    """Fill all of ``model`` but its head from a clip classifier (Kinetics), and say which tensors stay fresh.

    Everything outside the head must fit, as in ``load_weights``; ``report.fresh`` names the head's tensors, which keep
    the values they had, whatever the classifier's were. Settings of the clip's length and size may differ.
    """
    task = _Task(model, str(path), inflate=inflate, skip_head=True)
    return task.run(read_weights_file(path), family, BACKBONE_KNOBS, strict=True, override_knobs=override_knobs)


def family_of(file: WeightsFile, family: str) -> str:
    """The layout of a file's names, a key of ``FAMILIES``: ``family`` itself, or what they look like if ``"auto"``."""
    if family != "auto":
        if family not in FAMILIES:
            raise WeightsError(
                f"no weights family is called {family!r}; known: auto, {', '.join(FAMILIES)}"
                + suggestion(family, FAMILIES)
            )
        return family
    found = recognise(file.tensors.keys())
    if found is None:
        raise WeightsError(
            f"{file.path} holds {len(file.tensors)} tensors ({', '.join(list(file.tensors)[:3])}, ...), and none is "
            f"named as in a layout that can be read here ({', '.join(key_map.family for key_map in FAMILIES.values())})"
        )
    return found


def our_names(file: WeightsFile, family: str) -> dict[str, str | None]:
    """Our name for each tensor of the file, or None; ``WeightsError`` when two of them are the same."""
    try:
        return translate(FAMILIES[family], file.tensors.keys())
    except ValueError as error:
        raise WeightsError(f"{file.path}: {error}") from error


@dataclass
class _Task:
    """One file into one model."""

    model: nn.Module
    path: str
    inflate: bool
    skip_head: bool

    def run(
        self, file: WeightsFile, family: str, knobs: Sequence[str], *, strict: bool, override_knobs: bool
    ) -> WeightsReport:
        family = family_of(file, family)
        notes = [*file.notes, *self._compare_knobs(file, knobs, override=override_knobs)]
        wanted = self.model.state_dict()
        fitting, report = self._match(file, wanted, family, notes)
        if strict and not report.complete:
            raise WeightsError(
                f"{self.path} does not fit this model ({len(report.loaded)} of {report.num_expected} tensors match): "
                f"{report.problems()}. Choose the config these weights were trained with; nothing was loaded"
            )
        self.model.load_state_dict({**wanted, **fitting})
        return report

    def _compare_knobs(self, file: WeightsFile, names: Sequence[str], *, override: bool) -> list[str]:
        contradictions = file.knobs.contradictions(knobs_of_model(self.model), names)
        if contradictions and not override:
            raise WeightsError(
                f"{self.path} was made with other settings than this model has: {', '.join(contradictions)}; choose "
                "the config these weights were trained with, or override the settings of the file on purpose"
            )
        return [f"the file's own setting was overridden: {one}" for one in contradictions]

    def _match(
        self, file: WeightsFile, wanted: dict[str, Tensor], family: str, notes: list[str]
    ) -> tuple[dict[str, Tensor], WeightsReport]:
        fresh = [name for name in wanted if self.skip_head and name.startswith(_HEAD)]
        fitting: dict[str, Tensor] = {}
        loaded: list[str] = []
        unexpected: list[str] = []
        ignored = list(file.ignored)
        mismatched: list[tuple[str, Shape, Shape]] = []
        seen: set[str] = set()
        for name, ours in our_names(file, family).items():
            if ours is not None and self.skip_head and ours.startswith(_HEAD):
                ignored.append(name)
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
        missing = self._missing(seen.union(fresh), wanted, family, notes)
        notes += _conversions(fitting, wanted)
        lists = (loaded, missing, unexpected, mismatched, ignored, fresh, notes)
        return fitting, WeightsReport(self.path, FAMILIES[family].family, *map(tuple, lists))  # type: ignore[arg-type]

    def _missing(self, seen: set[str], wanted: dict[str, Tensor], family: str, notes: list[str]) -> list[str]:
        """The model's tensors that the file lacks, by the family's names."""
        missing = [ours for ours in wanted if ours not in seen]
        if missing and not any(ours.endswith(COUNTER) for ours in seen):
            counters = [ours for ours in missing if ours.endswith(COUNTER)]
            missing = [ours for ours in missing if not ours.endswith(COUNTER)]
            if counters:
                notes.append(f"the file has no batch-norm counters; the model's {len(counters)} stay as they are")
        detection = knobs_of_model(self.model).task == "detection"
        key_map = map_for_writing(family, wanted.keys(), detection=detection)
        last = last_blocks(wanted)
        return [key_map.to_theirs(ours, last) or ours for ours in missing]

    def _shaped(self, tensor: Tensor, want: Tensor, family: str) -> Tensor | None:
        """``tensor`` in the shape of ``want``, or None when it cannot be brought there."""
        if tensor.shape == want.shape:
            return tensor
        if family == "caffe2" and tensor.shape == want.shape[: tensor.dim()] and set(want.shape[tensor.dim() :]) == {1}:
            return tensor.reshape(want.shape)
        if self.inflate and want.dim() == 5:
            frames = want.shape[2]
            flat = tensor.unsqueeze(2) if tensor.dim() == 4 else tensor
            if flat.dim() == 5 and flat.shape[2] == 1 and flat.expand(-1, -1, frames, -1, -1).shape == want.shape:
                return flat.expand(-1, -1, frames, -1, -1) / frames
        return None

    def _check_values(self, name: str, tensor: Tensor, want: Tensor) -> None:
        if tensor.is_floating_point() != want.is_floating_point():
            raise WeightsError(
                f"{self.path}: {name} holds {_word(tensor.dtype)} numbers, and the model has {_word(want.dtype)} there"
                "; nothing was loaded"
            )
        if tensor.is_floating_point() and not all(bool(part.isfinite().all()) for part in _in_parts(tensor)):
            raise WeightsError(
                f"{self.path}: {name} holds NaN or infinite values, so the network would answer nonsense; take an "
                "earlier checkpoint of that training; nothing was loaded"
            )


def _conversions(fitting: dict[str, Tensor], wanted: dict[str, Tensor]) -> list[str]:
    pairs = {(tensor.dtype, wanted[name].dtype) for name, tensor in fitting.items() if tensor.is_floating_point()}
    return sorted(f"{_word(got)} numbers were converted to {_word(want)}" for got, want in pairs if got != want)


def _in_parts(tensor: Tensor) -> tuple[Tensor, ...]:
    """Views of so few numbers each that looking at them takes no memory to speak of."""
    return torch.split(tensor.reshape(-1), 2**16)


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
