"""Compare our networks with reference outputs of PySlowFast, pytorchvideo, mmaction2, UMT and VideoMAE-AD.

    python tools/check_parity.py CASE_DIR... [--fill FOLDER]

A case is a folder with ``meta.json`` (the model's settings), ``keys.json`` (names and shapes of its state dict),
``input.npz`` and ``expected.npz``. The network is built from the settings in ``meta.json``; its weights are generated
by ``fill.py``, written as a checkpoint in the family's own layout, and loaded by ``load_weights``. Then every variant
of the input is run, and scores, logits, pooled features and samples ("probes") of every stage's output are compared.
The script prints the largest errors of each case on a line; its exit status is 1 if any value is outside its tolerance
(``TOL`` in ``check.py``, beside ``fill.py``).

Shapes: M people, K classes, C channels, T time, H height, W width.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from parity.case_config import CaseError, config_of
from parity.stages import NAME_OF_MAP, probes, recorded
from torch import Tensor

from ava_detect.config.build import build_model
from ava_detect.models.action_detector import ActionClassifier, ActionDetector
from ava_detect.models.heads import clip_scores
from ava_detect.models.weights import load_weights

Array = npt.NDArray[Any]
Model = ActionDetector | ActionClassifier
PROBES_PER_STAGE = 64
# (absolute, relative), for kinds of values that check.py's TOL does not list.
DEFAULT_TOLERANCE = (1e-4, 1e-4)
KINDS = ("scores", "logits", "pooled", "roialign_first16", "extended_boxes", "probe")


def build_case(case: Any, folder: Path) -> Model:
    """Build the case's model and load its weights, through a checkpoint in the family's layout.

    Args:
        case: The case, a ``check.Case``.
        folder: Folder for the checkpoint.

    Returns:
        The model with the case's weights.

    Raises:
        CaseError: Not every tensor was loaded, or the number of parameters differs from the reference's.
    """
    model = build_model(config_of(case))
    state = {name: torch.from_numpy(np.array(array)) for name, array in case.weights().items()}
    # As the trainers of UMT and VideoMAE-AD write it, with their options.
    with_options = {"model": state, "epoch": 1, "args": argparse.Namespace(lr=1e-3)}
    wrapped = {
        "PySlowFast": {"epoch": 1, "model_state": state},
        "pytorchvideo": {"model_state": state},
        "mmaction2": {"meta": {"epoch": 1}, "state_dict": state},
        "UMT": with_options,
        "VideoMAE-AD": with_options,
    }
    path = folder / "checkpoint.pth"
    torch.save(wrapped[case.meta["family"]], path)
    report = load_weights(model, path)
    if len(report.loaded) != case.meta["n_keys"]:
        raise CaseError(f"{len(report.loaded)} of {case.meta['n_keys']} tensors were loaded")
    parameters = sum(p.numel() for p in model.parameters())
    if parameters != case.meta["params"]:
        raise CaseError(f"{parameters} parameters, the reference has {case.meta['params']}")
    return model


def outputs_of(model: Model, variant: Any, family: str) -> dict[str, Array]:
    """Run a model on one variant of the input.

    Args:
        model: The model.
        variant: The input: clip tensors and, for a detector, boxes.
        family: The case's family, whose names are used.

    Returns:
        Every array that a reference may hold, by the reference's names.
    """
    clip = torch.from_numpy(variant.tensors[-1])
    projected: list[Tensor] = []
    # The head's input, what its last layer reads (the same without a hidden layer), and the logits.
    hooks = [
        model.head.dropout.register_forward_hook(lambda _m, inputs, _out: projected.extend(inputs)),
        model.head.projection.register_forward_hook(lambda _m, inputs, out: projected.extend((*inputs, out))),
    ]
    try:
        with recorded(model) as stages, torch.inference_mode():
            if isinstance(model, ActionClassifier):
                model(clip)
                got = _classified(model, *projected)
            else:
                rois = torch.from_numpy(variant.boxes)
                output = model(clip, rois)
                rois = model.roi_pool.extended(rois, clip.shape[-2:])
                got = _detected(model, output, stages, rois, projected)
    finally:
        for hook in hooks:
            hook.remove()
    return {name: value.numpy() for name, value in (got | probes(model, stages, family)).items()}


def _classified(model: ActionClassifier, pooled: Tensor, _hidden: Tensor, logits: Tensor) -> dict[str, Tensor]:
    positions = pooled.movedim(-1, 1).flatten(2)  # [B, t, h, w, C] -> [B, C, t * h * w]
    got = {"logits": logits, "scores": clip_scores(logits, model.activation)}
    return got | _split(positions, model)


def _detected(
    model: ActionDetector, output: Tensor, stages: Mapping[str, Tensor], rois: Tensor, projected: Sequence[Tensor]
) -> dict[str, Tensor]:
    pooled, hidden, logits = projected
    if not torch.equal(output, logits[:, model.head.num_background :]):
        raise CaseError("the model's output is not what its last layer computed")
    got = {"logits": logits, "scores": logits.sigmoid(), "extended_boxes": rois} | _split(pooled, model)
    if model.head.hidden is not None:
        got["probe/head.hidden"] = hidden
    for name in model.backbone.map_names:
        bins = model.roi_pool.align(stages[f"map.{name}"], rois)[:, :16]
        got[f"roialign_first16/{NAME_OF_MAP.get(name, name)}"] = bins
    return got


def _split(pooled: Tensor, model: Model) -> dict[str, Tensor]:
    """Split pooled features ``[rows, C, ...]`` by map; the remaining channels are the global context."""
    channels = model.backbone.out_channels
    parts = pooled.split([*channels, pooled.shape[1] - sum(channels)], dim=1)
    names = (*(NAME_OF_MAP.get(name, name) for name in model.backbone.map_names), "global")
    return {f"pooled/{name}": part for name, part in zip(names, parts, strict=True)}


@dataclass
class Errors:
    """The errors of a case.

    Attributes:
        largest: The largest error by kind; for probes relative to the largest value of their stage.
        outside: A sentence for each array that is outside its tolerance.
        compared: Number of arrays compared, by kind.
        unknown: Names of reference arrays without a counterpart here.
    """

    largest: dict[str, float] = field(default_factory=dict)
    outside: list[str] = field(default_factory=list)
    compared: dict[str, int] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)

    def add(self, name: str, got: Array, expected: Array, tolerance: tuple[float, float]) -> None:
        """Compare one array.

        Args:
            name: Name of the array; its last word starts with the kind.
            got: Our values.
            expected: The reference's values.
            tolerance: Absolute and relative tolerance.
        """
        kind = name.split(" ")[-1].split("/")[0]
        self.compared[kind] = self.compared.get(kind, 0) + 1
        if got.shape != expected.shape:
            self.outside.append(f"{name}: shape {list(got.shape)}, expected {list(expected.shape)}")
            return
        difference = np.abs(got.astype(np.float64) - expected)
        shown = float(difference.max(initial=0)) / (float(np.abs(expected).max()) if kind == "probe" else 1.0)
        self.largest[kind] = max(self.largest.get(kind, 0.0), shown)
        absolute, relative = tolerance
        # A NaN compares as False, so it is outside.
        if not (difference <= absolute + relative * np.abs(expected)).all():
            self.outside.append(f"{name}: off by {shown:.3g}, allowed {absolute:g} + {relative:g} of the value")


def check_case(case: Any, fill: Any, tolerances: Mapping[str, tuple[float, float]]) -> Errors:
    """Run every variant of a case and compare it with the reference.

    Args:
        case: The case, a ``check.Case``.
        fill: The module that generates the weights and the positions of the probes.
        tolerances: Absolute and relative tolerance by kind.

    Returns:
        The errors.

    Raises:
        CaseError: The case cannot be built, or its reference has no scores or logits.
    """
    with tempfile.TemporaryDirectory() as folder:
        model = build_case(case, Path(folder))
    errors = Errors()
    for variant in case.variants():
        got = outputs_of(model, variant, case.meta["family"])
        compare(variant, got, fill, tolerances, errors)
    for kind in ("scores", "logits"):
        if kind not in errors.compared:
            raise CaseError(f"its expected.npz holds no {kind}")
    return errors


def compare(
    variant: Any, got: Mapping[str, Array], fill: Any, tolerances: Mapping[str, tuple[float, float]], errors: Errors
) -> None:
    """Compare every reference array of a variant with ours.

    Args:
        variant: The variant with its reference arrays.
        got: Our arrays by the reference's names.
        fill: The module that generates the positions of the probes.
        tolerances: Absolute and relative tolerance by kind.
        errors: Receives the errors, and the names of arrays without a counterpart.
    """
    for reference, expected in variant.expected.items():
        kind, _, stage = reference.partition("/")
        name = reference.removesuffix("_f64")
        ours = got.get(f"probe/{stage.removeprefix('model.')}" if kind in ("probe", "stat") else name)
        if ours is None:
            errors.unknown.append(f"{variant.name} {reference}")
        elif kind == "stat":
            if list(ours.shape) != [int(size) for size in expected[2:]]:
                errors.outside.append(f"{variant.name} {stage}: shape {list(ours.shape)}, expected {expected[2:]}")
            statistics = np.array([ours.mean(dtype=np.float64), ours.std(dtype=np.float64, ddof=1)])
            errors.add(f"{variant.name} {reference}", statistics, expected[:2], DEFAULT_TOLERANCE)
        else:
            if kind == "probe":
                # The reference keeps a few values per stage, at positions derived from the stage's name.
                positions = fill.raw24(reference, PROBES_PER_STAGE) % ours.size
                ours = ours.ravel()[positions]
            tolerance = tolerances.get(name.split("/")[0], DEFAULT_TOLERANCE)
            errors.add(f"{variant.name} {reference}".removesuffix("_f64"), ours, expected, tolerance)


def shared_tools(case_folder: Path, fill_folder: Path | None) -> tuple[Any, Any]:
    """Import the modules ``check`` and ``fill`` that generated the case.

    Args:
        case_folder: Folder of the case.
        fill_folder: Folder of the modules; None for ``tools/parity`` beside the ``cases`` folder.

    Returns:
        The modules ``check`` and ``fill``.

    Raises:
        SystemExit: The folder has no ``fill.py``.
    """
    folder = (fill_folder or case_folder.resolve().parents[2] / "tools" / "parity").resolve()
    if not (folder / "fill.py").is_file():
        raise SystemExit(
            f"{folder} has no fill.py, which makes the weights of {case_folder}; name its folder with --fill"
        )
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    import check  # type: ignore[import-not-found]
    import fill  # type: ignore[import-not-found]

    return check, fill


def main(arguments: list[str] | None = None, say: Callable[[str], None] = print) -> int:
    """Check cases and print a line for each.

    Args:
        arguments: Command-line arguments; None for those of the process.
        say: Prints a line.

    Returns:
        The exit status: 1 if a value is outside its tolerance or a case cannot be checked.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", type=Path, metavar="CASE_DIR")
    parser.add_argument("--fill", type=Path, metavar="FOLDER", help="folder of fill.py and check.py")
    options = parser.parse_args(arguments)
    failed = 0
    for folder in options.cases:
        check, fill = shared_tools(folder, options.fill)
        try:
            errors = check_case(check.Case(str(folder)), fill, check.TOL)
        except Exception as error:  # report it, and check the other cases
            say(f"{folder.name:<44} FAILED {type(error).__name__}: {error}")
            failed += 1
            continue
        shown = "  ".join(f"{kind} {errors.largest[kind]:.1e}" for kind in KINDS if kind in errors.largest)
        verdict = "OUTSIDE" if errors.outside else "ok"
        say(f"{folder.name:<44} {verdict:<7} {shown}  ({sum(errors.compared.values())} arrays)")
        for problem in errors.outside:
            say(f"  {problem}")
        if errors.unknown:
            say(f"  not compared, being unknown to this tool: {', '.join(errors.unknown)}")
        failed += bool(errors.outside)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
