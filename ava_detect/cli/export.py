"""``ava-detect export``: parse, build a network and fill it, write it for other runtimes, print."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ava_detect.cli import options
from ava_detect.cli.console import say
from ava_detect.cli.progress import progress_bar, show_stage
from ava_detect.errors import ConfigError

if TYPE_CHECKING:
    from ava_detect.models.export import ExportReport
    from ava_detect.structures.progress import OnProgress


def export(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="FILE.onnx: the whole detector; FILE.pt2: its backbone.")],
    weights: Annotated[str | None, options.weights_option()] = None,
    config: options.Config = None,
    overrides: options.Overrides = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a network as ONNX or for torch.export, and check it there."""
    with progress_bar(show=not quiet) as on_progress:
        report = export_config(
            config, weights, out, overrides=overrides or (), overwrite=overwrite, on_progress=on_progress
        )
    if not quiet:
        say(str(report))


def export_config(
    config: str | Path | None,
    weights: str | None,
    out: str | Path,
    *,
    overrides: Sequence[str] = (),
    overwrite: bool = True,
    on_progress: OnProgress | None = None,
) -> ExportReport:
    """Build a config's network, load its weights, and write it: ``.onnx`` the whole detector, ``.pt2`` its backbone.

    Args:
        config: A file or a name; None for the weights' own.
        weights: A file, a name of the zoo, or ``"random"``.
        out: The file to write.
        overrides: ``section.key=value`` each, in place of the config's values.
        overwrite: Whether an existing file that is no such export is replaced.
        on_progress: Told of the bytes of a download, and of the stages.

    Returns:
        What was written, and by how much it differs when it is run.

    Raises:
        ConfigError: The call is wrong.
        WeightsError: The weights do not fit.
        AvaDetectError: The written network differs from its source.
    """
    from ava_detect.config.choice import choose_network
    from ava_detect.models.zoo import RANDOM_WEIGHTS
    from ava_detect.storage.outputs import check_output

    out = Path(out)
    if out.suffix not in (".onnx", ".pt2"):
        raise ConfigError(f"the file to export to ends in .onnx (whole detector) or .pt2 (backbone), got {out.name!r}")
    if weights is None:
        raise ConfigError(
            f"give `weights`, a file or a name, to export, or `weights={RANDOM_WEIGHTS}` to try an untrained network"
        )
    choice = choose_network(weights, config, overrides=overrides)
    choice.config.require_detection()
    check_output(out, {"weights": weights, "config": config})
    path = choice.announce().weights_file(on_progress)
    show_stage(on_progress, "loading the network")
    # With PyTorch, which a wrong config or a file that is no weights file need not wait for.
    from ava_detect.config.build import build_with_weights
    from ava_detect.models.action_detector import require_detector
    from ava_detect.models.export import export_backbone, export_onnx

    model, _ = build_with_weights(choice.config, path, choice.overrides)
    show_stage(on_progress, f"writing {out.name} and running it")
    write = export_onnx if out.suffix == ".onnx" else export_backbone
    return write(require_detector(model), out, overwrite=overwrite)
