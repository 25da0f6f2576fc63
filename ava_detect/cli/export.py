"""``ava-detect export``: parse, build a network and fill it, write it for other runtimes, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ava_detect.cli import options
from ava_detect.cli.console import say
from ava_detect.cli.progress import progress_bar
from ava_detect.errors import ConfigError

if TYPE_CHECKING:
    from ava_detect.models.export import ExportReport
    from ava_detect.structures.progress import OnProgress


def export(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="FILE.onnx: the whole detector; FILE.pt2: its backbone.")],
    config: Annotated[str, typer.Option(help="A config file, or the name of one that ships.")],
    weights: Annotated[
        str | None, typer.Option(metavar="FILE|NAME", help="Trained weights, or 'random' to try the machinery.")
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Write a network for other runtimes, and check it there: ONNX, or torch.export of the backbone."""
    with progress_bar(show=not quiet) as on_progress:
        report = export_config(config, weights, out, on_progress=on_progress)
    if not quiet:
        say(str(report))


def export_config(
    config: str | Path | None, weights: str | None, out: str | Path, *, on_progress: OnProgress | None = None
) -> ExportReport:
    """Build a config's network, fill it, and write it: ``.onnx`` the whole detector, ``.pt2`` its backbone.

    ``weights``: a file, a name of the zoo, or ``"random"``. ``ConfigError``, ``WeightsError`` or ``AvaDetectError``
    says what is wrong.
    """
    from ava_detect.config.build import build_model
    from ava_detect.config.choice import config_of
    from ava_detect.models.action_detector import ActionDetector
    from ava_detect.models.export import export_backbone, export_onnx
    from ava_detect.models.weights import load_weights
    from ava_detect.models.zoo import RANDOM_WEIGHTS, resolve

    out = Path(out)
    if out.suffix not in (".onnx", ".pt2"):
        raise ConfigError(f"the file to export to ends in .onnx (whole detector) or .pt2 (backbone), got {out.name!r}")
    if weights is None:
        raise ConfigError(
            f"give `weights`, a file or a name, to export, or `weights={RANDOM_WEIGHTS}` to try an untrained network"
        )
    model = build_model(config_of(config, weights))
    if not isinstance(model, ActionDetector):
        raise ConfigError("this config is a classifier of whole clips; only detectors are exported")
    if weights != RANDOM_WEIGHTS:
        load_weights(model, resolve(weights, on_progress))
    return export_onnx(model, out) if out.suffix == ".onnx" else export_backbone(model, out)
