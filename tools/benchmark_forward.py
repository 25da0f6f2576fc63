"""One forward pass of a network in every way that it can be run: how long, how far from the plain definition, how far
from the machine's limit.

    python tools/benchmark_forward.py [CONFIG] [--size 256 340] [--batch 1] [--runs 7] [--threads 2] [--device cpu]

The ways take turns; a ratio is that of the medians, to eager fp32. The floor is the network's multiplications and
additions over what a large matrix product reaches here, in the same precision and in this same call. Weights are
random, with batch norms as if trained.
"""

from __future__ import annotations

import argparse
import time

import torch
from measuring import by_turns, machine, seconds_of
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ava_detect.build import build_model
from ava_detect.config import load_config
from ava_detect.models.action_detector import ActionDetector
from ava_detect.models.execution import Execution, Precision, prepare

WAYS: tuple[tuple[Execution, Precision], ...] = (
    ("eager", "fp32"),
    ("eager", "bf16"),
    ("fused", "fp32"),
    ("fused", "bf16"),
)
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
MATRIX = {"cpu": 2048, "cuda": 8192}


def lively(name: str) -> ActionDetector:
    """As built, residual branches are 0 and bf16 would look better than it is."""
    model, generator = build_model(load_config(name)), torch.Generator().manual_seed(0)
    assert isinstance(model, ActionDetector), "name the config of a detector"
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, nn.BatchNorm3d):
                scale = 1e-6 if "nonlocal" in name else 0.3 if name.endswith(".c.bn") else 1.0
                module.weight.uniform_(0.8 * scale, 1.2 * scale, generator=generator)
                module.running_var.uniform_(0.8, 1.2, generator=generator)
                module.running_mean.normal_(0, 0.1, generator=generator)
        model.head.projection.weight.normal_(0, 0.05, generator=generator)
    return model


def peak_flops(precision: Precision, device: str) -> float:
    """Operations a second of a square matrix product, the best of 5."""
    side = MATRIX[device]
    a, b = (torch.randn(side, side, device=device).to(DTYPES[precision]) for _ in range(2))
    a @ b
    return 2 * side**3 / min(seconds_of(lambda: a @ b, device)[0] for _ in range(5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?", default="slowfast_r50_32x2")
    parser.add_argument("--size", type=int, nargs=2, default=(256, 340), metavar=("H", "W"))
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--people", type=int, default=3, help="on each clip")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device, (height, width) = arguments.device, arguments.size
    torch.manual_seed(0)
    model = lively(arguments.config).to(device)
    clip = torch.randn(arguments.batch, 3, model.clip_settings.num_frames, height, width, device=device)
    corners = torch.rand(arguments.batch * arguments.people, 2, 2, device=device).sort(dim=1).values
    boxes = (corners * torch.tensor([width, height], device=device)).flatten(1)
    clips = torch.arange(arguments.batch, device=device).repeat_interleave(arguments.people)
    rois = torch.cat([clips[:, None], boxes], dim=1)

    print(f"{arguments.config}, {tuple(clip.shape)}, {len(rois)} people; {machine(device)}")
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(clip, rois)
    floors = {p: counter.get_total_flops() / peak_flops(p, device) for p in DTYPES}
    prepared, outputs, first = {}, {}, {}
    for execution, precision in WAYS:
        started = time.perf_counter()
        prepared[execution, precision] = prepare(model, execution=execution, precision=precision, device=device)
        outputs[execution, precision] = prepared[execution, precision](clip, rois)
        first[execution, precision] = time.perf_counter() - started
    calls = {f"{e} {p}": lambda run=run: run(clip, rois) for (e, p), run in prepared.items()}
    medians = by_turns(calls, arguments.runs, device)
    exact, eager = outputs["eager", "fp32"], medians["eager fp32"]
    print(f"{counter.get_total_flops() / 1e9:.0f} GFLOP; medians of {arguments.runs} runs by turns; seconds")
    print("way          wall    CPU  ratio  CPU ratio  of floor  first call  logits off  scores off")
    for execution, precision in WAYS:
        wall, cpu = medians[f"{execution} {precision}"]
        logits = outputs[execution, precision]
        off = (logits - exact).abs().max().item()
        scores_off = (logits.sigmoid() - exact.sigmoid()).abs().max().item()
        print(
            f"{execution} {precision}  {wall:6.3f} {cpu:6.3f} {eager[0] / wall:6.2f} {eager[1] / cpu:10.2f} "
            f"{floors[precision] / wall:9.0%} {first[execution, precision]:11.2f}  {off:10.1e}  {scores_off:10.1e}"
        )


if __name__ == "__main__":
    main()
