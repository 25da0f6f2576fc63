"""Check and measure everything that runs on a GPU, in under eight minutes on one card; the report is Markdown.

    python tools/gpu_check.py [--out gpu_check.md] [--minutes 7.5]
    python tools/gpu_check.py --device cpu --small          # the same steps with tiny networks, to try the script

The steps, each a table or a line of the report:

1. the tests marked ``gpu``;
2. the machine's limits: rates of a large matrix product in fp32, TF32 and bf16, and of copying memory;
3. scores on the GPU against the CPU's, for each network and precision;
4. clips a second of R50, R101, ViT-B and ViT-L: batches of 1 to 64, fp32, TF32 and bf16; as defined, with channels last
   in memory, and compiled with CUDA graphs (``torch.compile(mode="reduce-overhead")``); beside the rate that the matrix
   product of step 2 would allow;
5. ``ava-detect annotate`` of rendered videos with 1 to 12 decoding processes.

A step that the time does not allow is in the report as such, and so is one that fails: with its error. The exit status
is 1 if a test failed, a score is off, or a step raised an error.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from benchmark_forward import build_lively_model, inputs
from measuring import machine, seconds_of
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ava_detect.models.action_detector import ActionDetector

ROOT = Path(__file__).parents[1]
# How far a score may lie from the CPU's in fp32.
ALLOWED = {"fp32": 1e-4, "tf32": 0.01, "bf16": 0.02}
DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Sizes:
    """How large the measured work is.

    Attributes:
        configs: The networks.
        clip: Height and width of their clips, pixels.
        batches: Clips in one forward pass.
        matrix: Side of the matrices of step 2.
        videos: Number of rendered videos of step 5.
        seconds: Length of each, seconds.
        processes: Numbers of decoding processes of step 5.
    """

    configs: tuple[str, ...]
    clip: tuple[int, int]
    batches: tuple[int, ...]
    matrix: int
    videos: int
    seconds: float
    processes: tuple[int, ...]


FULL = Sizes(
    ("slowfast_r50_32x2", "slowfast_r101_nl_32x2", "umt_vit_b", "umt_vit_l"),
    (256, 456),
    (1, 4, 16, 64),
    8192,
    12,
    20,
    (1, 4, 12),
)
SMALL = Sizes(("demo",), (64, 80), (1, 2), 256, 1, 2, (1,))


@dataclass
class Report:
    """The text so far, what went wrong, and the time that is left."""

    deadline: float
    lines: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def add(self, *lines: str) -> None:
        """Add lines, and print them: a run that is cut off has shown what it did."""
        self.lines += lines
        print("\n".join(lines), flush=True)

    def fault(self, text: str) -> None:
        """Add something that went wrong."""
        self.faults.append(text)
        self.add(f"**Wrong:** {text}", "")

    def left(self) -> float:
        """Seconds that are left."""
        return self.deadline - time.monotonic()

    @contextmanager
    def step(self, title: str, needed: float) -> Iterator[bool]:
        """A section: yields whether its seconds are left; an error in it ends the section, not the run."""
        self.add(f"## {title}", "")
        enough = self.left() >= needed
        if not enough:
            self.add(f"Not reached: {max(0, self.left()):.0f} s were left.", "")
        try:
            yield enough
        except (RuntimeError, ValueError, LookupError, OSError, subprocess.SubprocessError) as error:
            self.fault(f"{title}: {type(error).__name__}: {str(error).strip().splitlines()[0]}")


def run_tests(report: Report) -> None:
    """Run the tests that need a GPU."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=max(1, report.left()), check=False)
    report.add(f"`{' '.join(command[1:])}`: {done.stdout.strip().splitlines()[-1]}", "")
    if done.returncode:
        report.fault("tests failed:\n\n```\n" + done.stdout[-3000:] + "\n```")


def limits(report: Report, sizes: Sizes, device: str) -> dict[str, float]:
    """Measure and report operations per second by precision, and the rate of copying."""
    rates = {}
    for precision, dtype in DTYPES.items():
        if device == "cpu" and precision != "fp32":
            continue
        with allowing_tf32(precision == "tf32"):
            a, b = (torch.randn(sizes.matrix, sizes.matrix, device=device).to(dtype) for _ in range(2))
            rates[precision] = 2 * sizes.matrix**3 / best_of(5, lambda a=a, b=b: a @ b, device)
    numbers = torch.zeros(sizes.matrix**2, device=device)
    copied = 2 * 4 * sizes.matrix**2 / best_of(5, numbers.clone, device)
    rows = [[name, f"{rate / 1e12:.2f} TFLOP/s"] for name, rate in rates.items()]
    report.add(*table(("matrix product", "rate"), [*rows, ["memory, read and written", f"{copied / 1e9:.0f} GB/s"]]))
    return rates


@contextmanager
def allowing_tf32(allowed: bool) -> Iterator[None]:
    """Let fp32 products and convolutions on a GPU use TF32, or not."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def best_of(runs: int, call: Callable[[], object], device: str) -> float:
    """Shortest wall seconds of several calls, after one that is not counted."""
    seconds_of(call, device)
    return min(seconds_of(call, device)[0] for _ in range(runs))


def forward_of(model: ActionDetector, form: str, precision: str, device: str) -> Callable[[Tensor, Tensor], Tensor]:
    """A form of a network: ``defined``, ``channels last`` or ``compiled`` (channels last as well).

    Args:
        model: The network, on ``device``.
        form: One of the three.
        precision: ``fp32``, ``tf32`` or ``bf16``.
        device: Where it runs.

    Returns:
        (clip ``[B, 3, T, H, W]``, rois ``[M, 5]``) -> scores ``[M, K]``.
    """
    run: Callable[[Tensor, Tensor], Tensor] = model
    if form == "compiled":
        run = torch.compile(model, mode="reduce-overhead", dynamic=False)

    def call(clip: Tensor, rois: Tensor) -> Tensor:
        autocast = torch.autocast(device, torch.bfloat16, enabled=precision == "bf16")
        with torch.no_grad(), allowing_tf32(precision == "tf32"), autocast:
            if form != "defined":
                clip = clip.contiguous(memory_format=torch.channels_last_3d)
            return run(clip, rois).float().sigmoid()

    return call


def check_and_time(report: Report, sizes: Sizes, device: str, rates: dict[str, float]) -> None:
    """Report each network's largest difference from the CPU and its clips a second."""
    rows = []
    for config in sizes.configs:
        torch.manual_seed(0)
        model = build_lively_model(config)
        clip, rois = inputs(model, 1, 3, *sizes.clip, "cpu")
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            expected = model(clip, rois).sigmoid()
        flops = counter.get_total_flops()
        for form in ("defined", "channels last", "compiled"):
            layout = torch.contiguous_format if form == "defined" else torch.channels_last_3d
            placed = model.to(device)
            for name, value in placed.named_parameters():
                if value.dim() == 5:
                    placed.get_parameter(name).data = value.data.contiguous(memory_format=layout)
            for precision in rates:
                if report.left() < 60 and device == "cuda":
                    report.add(f"Not reached: {config}, {form}, {precision}.", "")
                    continue
                forward = forward_of(placed, form, precision, device)
                off = (forward(clip.to(device), rois.to(device)).cpu() - expected).abs().max().item()
                if not off <= ALLOWED[precision]:
                    report.fault(f"{config}, {form}, {precision}: a score is off by {off:.1e}")
                for batch in sizes.batches if form != "compiled" else sizes.batches[:2]:
                    rate = clips_per_second(forward, model, batch, sizes, device)
                    floor = rates[precision] / flops
                    share = "" if rate is None else f"{rate / floor:.0%}"
                    shown = "out of memory" if rate is None else f"{rate:.2f}"
                    rows.append([config, form, precision, str(batch), shown, share, f"{off:.1e}"])
    heading = ("network", "form", "precision", "batch", "clips a second", "of the matrix rate", "scores off")
    report.add(*table(heading, rows))


def clips_per_second(
    forward: Callable[[Tensor, Tensor], Tensor], model: ActionDetector, batch: int, sizes: Sizes, device: str
) -> float | None:
    """Clips a second, the best of three; None where the memory does not suffice."""
    clip, rois = inputs(model, batch, 3, *sizes.clip, device)
    try:
        return batch / best_of(3, partial(forward, clip, rois), device)
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return None


def annotate(report: Report, sizes: Sizes, device: str) -> None:
    """Report the seconds of ``annotate`` with several numbers of decoding processes."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        videos = Path(folder) / "videos"
        command(report, "data", "synthesize", "--out", folder, "--videos", sizes.videos, "--seconds", sizes.seconds)
        for processes in sizes.processes:
            if report.left() < 30 and device == "cuda":
                report.add(f"Not reached: {processes} decoding processes.", "")
                continue
            out = Path(folder) / f"out{processes}"
            options = ["--weights", "random", "--config", sizes.configs[0], "--device", device]
            options += ["--workers", processes, *(["--models", 1] if processes > 1 else []), "--json"]
            began = time.perf_counter()
            summary = json.loads(command(report, "annotate", videos, "--out", out, *options))
            seconds = time.perf_counter() - began
            keyframes = summary["totals"]["keyframes"]
            rows.append([str(processes), f"{seconds:.1f}", str(keyframes), f"{keyframes / seconds:.1f}"])
    report.add(*table(("decoding processes", "seconds", "keyframes", "keyframes a second"), rows))


def command(report: Report, *arguments: object) -> str:
    """Standard output of ``ava-detect ARGUMENTS``."""
    call = [sys.executable, "-m", "ava_detect", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    limit = max(1, report.left())
    done = subprocess.run(call, capture_output=True, text=True, timeout=limit, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(call[3:])}: {done.stderr.strip()[-500:]}")
    return done.stdout


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table and an empty line."""
    lines = [heading, ["---"] * len(heading), *rows]
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]


def main(arguments: list[str] | None = None) -> int:
    """Run the steps, write the report, and return 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu_check.md"), help="the report; replaced")
    parser.add_argument("--minutes", type=float, default=7.5, help="after which no further step begins")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--small", action="store_true", help="tiny networks and sizes, to try the script")
    options = parser.parse_args(arguments)
    device, sizes = options.device, SMALL if options.small else FULL
    if device == "cuda" and not torch.cuda.is_available():
        print("PyTorch finds no GPU here; --device cpu --small tries the script", file=sys.stderr)
        return 2
    report = Report(time.monotonic() + 60 * options.minutes)
    report.add(
        "# GPU check", "", f"Measured: `python tools/gpu_check.py`, {machine(device)}, {time.strftime('%F')}.", ""
    )
    rates: dict[str, float] = {}
    with report.step("Tests", 60 if device == "cuda" else 0) as enough:
        if enough and device == "cuda":
            run_tests(report)
    with report.step("Limits of the machine", 10) as enough:
        if enough:
            rates = limits(report, sizes, device)
    with report.step("Networks", 30) as enough:
        if enough:
            check_and_time(report, sizes, device, rates)
    with report.step("From file to rows", 30) as enough:
        if enough:
            annotate(report, sizes, device)
    report.add(f"{len(report.faults)} faults; {options.minutes * 60 - report.left():.0f} s.")
    options.out.write_text("\n".join(report.lines) + "\n")
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
