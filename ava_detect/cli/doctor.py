"""``ava-detect doctor``: what is installed, what runs on what, and what is missing with the line that gets it."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from typing import Annotated, Literal

import typer

from ava_detect.cli import options
from ava_detect.cli.commands import UsageError
from ava_detect.cli.console import say, say_table
from ava_detect.cli.doctor_speed import report_speed
from ava_detect.environment import extras, install_line, libraries_of, pip_line, versions
from ava_detect.errors import AvaDetectError, shown

# What each extra of setup.cfg brings, and the disk space that it takes beside the package itself.
EXTRAS = {
    "s3": ("videos and results in S3 and stores that speak its protocol (s3://)", "40 MB"),
    "gcs": ("videos and results in Google Cloud Storage (gs://)", "60 MB"),
    "http": ("videos on web servers (http://, https://)", "15 MB"),
    "ray": ("clusters: --engine ray", "250 MB"),
    "supervision": ("results as supervision.Detections, and its boxes as people", "10 MB"),
    "ultralytics": ("detectors ultralytics:yolo11n and others (AGPL-3.0)", "170 MB"),
    "transformers": ("detectors transformers:PekingU/rtdetr_r50vd and others", "150 MB"),
    "review": ("correcting results in the browser: ava-detect review", "2 MB"),
    "live": ("the page of ava-detect live, and its messages over MQTT", "2 MB"),
    "train": ("training on several processes or GPUs, TensorBoard logs", "80 MB"),
    "test": ("what the tests of a checkout need", "1 GB"),
    "test-detectors": ("what the tests of ultralytics: and transformers: need", "320 MB"),
    "dev": ("linter and type checker of a checkout", "100 MB"),
}
_NO_GPU = (
    "everything runs on the CPU; a GPU needs an NVIDIA driver that fits this torch build. Without a GPU a CPU build of "
    "torch saves 4 GB of disk space: https://pytorch.org/get-started/locally/ has its line"
)
State = Literal["ok", "missing", "broken"]


@dataclass(frozen=True)
class Finding:
    """One line of the report. ``required``: whether the main job needs it. ``advice``: what to do when it is not ok."""

    name: str
    state: State
    detail: str
    required: bool = True
    advice: str = ""


def doctor(
    as_json: options.AsJson = False,
    speed: Annotated[
        bool,
        typer.Option(
            "--speed",
            help="Measure how fast the network is here instead; takes up to a minute.",
            rich_help_panel=options.SPEED,
        ),
    ] = False,
    config: options.Config = None,
) -> None:
    """Check the installation and say what is missing."""
    if config is not None and not speed:
        raise UsageError("--config is for --speed: it names the network that is measured")
    if speed:
        report_speed(config or "slowfast_r50_32x2", as_json=as_json)
        return
    findings = examine()
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        marks = {"ok": "ok", "missing": "-", "broken": "BROKEN"}
        rows = [(marks[finding.state], finding.name, finding.detail) for finding in findings]
        say_table(("", "what", "found"), rows, left=(0, 1, 2))
        # Outside the table, where a command stays in one piece.
        advice = [f"  {f.name}: {f.advice}" for f in findings if f.state != "ok" and f.advice]
        if advice:
            say("\n".join(["", "For what is missing, try:", *advice]))
    if any(finding.required and finding.state != "ok" for finding in findings):
        raise typer.Exit(1)


def examine() -> list[Finding]:
    """Look at everything the package stands on; each check really uses the thing it reports."""
    checks: list[tuple[str, Callable[[], str], bool, str]] = [
        (
            "torch and torchvision",
            _torch,
            True,
            f"install the two together: {pip_line('--upgrade', 'torch', 'torchvision')}",
        ),
        ("GPU", _gpu, False, _NO_GPU),
        ("precisions", _precisions, False, ""),
        ("video decoding and encoding", _video, True, pip_line("--upgrade", "av")),
        ("builtin person detector", _builtin_detector, True, install_line()),
        ("AVA label maps", _label_maps, True, install_line()),
        ("configs", _configs, True, install_line()),
        *((f"extra {name}", partial(_extra, name), False, install_line(name)) for name in extras()),
        ("detectron2 (optional)", _detectron2, False, ""),
    ]
    return [*_libraries(), *(_check(*check) for check in checks), *_plug_ins()]


def _libraries() -> list[Finding]:
    found = versions()
    machine = f"{platform.platform()}, {os.cpu_count()} CPUs"
    findings = [Finding("python", "ok", f"{found.pop('python')} on {machine}")]
    for name, installed in found.items():
        if installed is None:
            findings.append(Finding(name, "missing", "not installed", advice=pip_line(name)))
        else:
            findings.append(Finding(name, "ok", installed))
    return findings


def _plug_ins() -> list[Finding]:
    """One finding for each plug-in of another package; each is imported, as its use would."""
    from ava_detect.detectors.specs import DETECTOR_KINDS
    from ava_detect.formats.writers import RESULT_FORMATS
    from ava_detect.models.weights.key_map import FAMILIES

    findings = []
    for kind, table in (("detector", DETECTOR_KINDS), ("weights family", FAMILIES), ("format", RESULT_FORMATS)):
        for name, plug_in in table.added.items():
            called = f"plug-in: {kind} {shown(name)}"
            try:
                _ = table[name]
                findings.append(Finding(called, "ok", f"from {plug_in.origin}", required=False))
            except AvaDetectError as error:
                findings.append(Finding(called, "broken", str(error), required=False))
    return findings


def _check(name: str, check: Callable[[], str], required: bool, advice: str) -> Finding:
    try:
        return Finding(name, "ok", check(), required)
    except _NotThereError as error:
        return Finding(name, "missing", str(error), required, error.advice or advice)
    except Exception as error:  # A broken installation can fail in any way; the report is where it is told.
        return Finding(name, "broken", f"{type(error).__name__}: {error}", required, advice)


class _NotThereError(Exception):
    """The thing is not there, which may be all right; ``advice``: how to get it."""

    def __init__(self, detail: str, advice: str = "") -> None:
        super().__init__(detail)
        self.advice = advice


def _torch() -> str:
    import torch
    from torchvision.ops import roi_align

    pooled = roi_align(torch.ones(1, 1, 4, 4), torch.tensor([[0.0, 0.0, 0.0, 4.0, 4.0]]), 2)
    if not bool((pooled == 1).all()):
        raise RuntimeError("roi_align of ones is not one")
    return f"RoIAlign runs; {torch.get_num_threads()} CPU threads"


def _gpu() -> str:
    import torch

    if not torch.cuda.is_available():
        built = (
            f"torch was built for CUDA {torch.version.cuda}" if torch.version.cuda else "torch was built without CUDA"
        )
        raise _NotThereError(f"no CUDA device ({built}); the network runs on the CPU")
    properties = torch.cuda.get_device_properties(0)
    return f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"


def _precisions() -> str:
    import torch

    from ava_detect.models.network_options import bf16_unit

    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    return "; ".join(_precisions_of(device, bf16_unit(device)) for device in devices)


def _precisions_of(device: str, unit: str) -> str:
    if unit:
        return f"{device}: fp32, and bf16 ({unit}), which is faster and changes scores slightly"
    return f"{device}: fp32 only; it has no bf16 arithmetic, so --precision bf16 runs fp32 there"


def _video() -> str:
    import tempfile
    from pathlib import Path

    import av
    import numpy as np

    from ava_detect.video.reader import VideoReader
    from ava_detect.video.writer import VideoWriter

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "check.mp4"
        with VideoWriter(path, fps=10) as writer:
            for level in (50, 150):
                writer.write(np.full((32, 32, 3), level, np.uint8))
        num_frames = sum(1 for _ in VideoReader(path))
    if num_frames != 2:
        raise RuntimeError(f"wrote 2 frames, read {num_frames}")
    libavcodec = ".".join(map(str, av.library_versions["libavcodec"]))
    return f"H.264 written and read back; libavcodec {libavcodec}"


def _builtin_detector() -> str:
    import numpy as np

    from ava_detect.detectors import build_detector

    detector = build_detector("builtin")
    found = detector([np.zeros((90, 160, 3), np.uint8)])[0]
    if len(found):
        raise RuntimeError(f"it sees {len(found)} people on a black picture")
    return "runs on onnxruntime, on the CPU"


def _label_maps() -> str:
    from ava_detect.structures.labels import LabelMap

    return f"{len(LabelMap.ava())} actions, {len(LabelMap.ava_evaluated())} of them evaluated"


def _configs() -> str:
    from ava_detect.config import config_names, load_config

    for name in config_names():
        load_config(name)
    return ", ".join(config_names())


def _detectron2() -> str:
    if find_spec("detectron2") is None:
        from ava_detect.detectors.libraries import install_command

        raise _NotThereError(
            "not installed; only the detectron2:CONFIG detectors need it", install_command("detectron2")
        )
    return version("detectron2")


def _extra(name: str) -> str:
    use, space = EXTRAS.get(name, ("", "unknown"))
    libraries = libraries_of(name)
    if missing := [library for library, installed in libraries.items() if installed is None]:
        raise _NotThereError(f"{use}; not installed: {', '.join(missing)} (disk space: {space})")
    return f"{use}: {', '.join(f'{_name_of(library)} {installed}' for library, installed in libraries.items())}"


def _name_of(requirement: str) -> str:
    """Return the name of the library in a requirement such as ``accelerate>=1.0``."""
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
