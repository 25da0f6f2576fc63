"""One forward pass of a network in every way that it can be run: how long, how far from the plain definition, how far
from the machine's limit.

    python tools/benchmark_forward.py [CONFIG] [--size 256 340] [--batch 1] [--runs 7] [--threads 2] [--compiled]
    python tools/benchmark_forward.py CONFIG --device cuda --size 256 456 --batch 1 4 16 64 --compiled --profile

The ways take turns; a ratio is that of the medians, to eager fp32. The floor is the network's multiplications and
additions over what a large matrix product reaches here, in the same precision and in this same call. Weights are
random, with batch norms as if trained. ``--compiled`` adds ``torch.compile`` of the plain definition (weights frozen
on a CPU), which the package itself does not use. ``--profile`` names the five operations that take the fastest way's
time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping

import torch
from measuring import by_turns, machine, seconds_of
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from ava_detect.config import load_config
from ava_detect.config.build import build_model
from ava_detect.models.action_detector import ActionDetector
from ava_detect.models.execution import Precision, has_fused_ops, prepare

PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
MATRIX = {"cpu": 2048, "cuda": 8192}

Run = Callable[[Tensor, Tensor], Tensor]


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


def ways_of(
    model: ActionDetector, device: str, *, with_compiled: bool
) -> dict[tuple[str, Precision], Callable[[], Run]]:
    """What makes each way, by its name and precision; eager fp32 is the first."""
    ways: dict[tuple[str, Precision], Callable[[], Run]] = {}
    for precision in PRECISIONS:
        ways["eager", precision] = lambda p=precision: prepare(model, execution="eager", precision=p, device=device)
    for precision in PRECISIONS:
        if has_fused_ops(torch.device(device), DTYPES[precision]):
            ways["fused", precision] = lambda p=precision: prepare(model, execution="fused", precision=p, device=device)
    if with_compiled:
        for precision in PRECISIONS:
            ways["compiled", precision] = lambda p=precision: compiled(model, p, device)
    return ways


def compiled(model: ActionDetector, precision: Precision, device: str) -> Run:
    """``torch.compile`` of the plain definition; on a CPU with its weights as constants, so that they can be packed."""
    from torch._inductor import config

    config.freezing = device == "cpu"
    torch._dynamo.reset()
    run = torch.compile(model.eval())

    def call(clip: Tensor, rois: Tensor) -> Tensor:
        with torch.no_grad(), torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            return run(clip, rois).float()

    return call


def inputs(
    model: ActionDetector, batch: int, people: int, height: int, width: int, device: str
) -> tuple[Tensor, Tensor]:
    """Clips of noise with so many people on each."""
    clip = torch.randn(batch, 3, model.clip_settings.num_frames, height, width, device=device)
    corners = torch.rand(batch * people, 2, 2, device=device).sort(dim=1).values
    boxes = (corners * torch.tensor([width, height], device=device)).flatten(1)
    clips = torch.arange(batch, device=device).repeat_interleave(people)
    return clip, torch.cat([clips[:, None], boxes], dim=1)


def compare(
    ways: Mapping[tuple[str, Precision], Callable[[], Run]],
    clip: Tensor,
    rois: Tensor,
    flops: int,
    peaks: Mapping[Precision, float],
    runs: int,
) -> Run:
    """Print the table of one batch; the fastest way is returned."""
    device = clip.device.type
    prepared: dict[tuple[str, Precision], Run] = {}
    outputs, first = {}, {}
    for way, make in ways.items():
        started = time.perf_counter()
        prepared[way] = make()
        outputs[way] = prepared[way](clip, rois).cpu()
        first[way] = time.perf_counter() - started
    calls = {" ".join(way): lambda run=run: run(clip, rois) for way, run in prepared.items()}
    medians = by_turns(calls, runs, device)
    exact, eager = outputs["eager", "fp32"], medians["eager fp32"]
    print(f"{tuple(clip.shape)}, {len(rois)} people, {flops / 1e9:.0f} GFLOP; medians of {runs} runs by turns; seconds")
    print(
        f"{'way':<14} {'wall':>7} {'CPU':>7} {'ratio':>6} {'CPU ratio':>10} {'of floor':>9} {'clips a second':>15} "
        f"{'first call':>11} {'logits off':>11} {'scores off':>11}"
    )
    for way, logits in outputs.items():
        wall, cpu = medians[" ".join(way)]
        off = (logits - exact).abs().max().item()
        scores_off = (logits.sigmoid() - exact.sigmoid()).abs().max().item()
        print(
            f"{' '.join(way):<14} {wall:7.3f} {cpu:7.3f} {eager[0] / wall:6.2f} {eager[1] / cpu:10.2f} "
            f"{flops / peaks[way[1]] / wall:9.0%} {len(clip) / wall:15.2f} {first[way]:11.2f} {off:11.1e} "
            f"{scores_off:11.1e}"
        )
    return prepared[min(prepared, key=lambda way: medians[" ".join(way)][0])]


def print_profile(run: Run, clip: Tensor, rois: Tensor) -> None:
    """The five operations that most of a call's time goes to, those of the device where there is one."""
    is_cuda = clip.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if is_cuda else [])]
    with profile(activities=activities, acc_events=True) as taken:
        run(clip, rois)
        if is_cuda:
            torch.cuda.synchronize()
    events = taken.key_averages()
    times = {event.key: event.self_device_time_total if is_cuda else event.self_cpu_time_total for event in events}
    whole = sum(times.values())
    for name in sorted(times, key=times.__getitem__, reverse=True)[:5]:
        print(f"  {times[name] / whole:6.1%} {times[name] / 1e3:9.2f} ms  {name[:90]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?", default="slowfast_r50_32x2")
    parser.add_argument("--size", type=int, nargs=2, default=(256, 340), metavar=("H", "W"))
    parser.add_argument("--batch", type=int, nargs="+", default=[1], help="clips at once")
    parser.add_argument("--people", type=int, default=3, help="on each clip")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--compiled", action="store_true", help="torch.compile beside the package's own ways")
    parser.add_argument("--profile", action="store_true", help="the five dearest operations of the fastest way")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = arguments.device
    torch.manual_seed(0)
    model = lively(arguments.config).to(device)
    peaks = {precision: peak_flops(precision, device) for precision in PRECISIONS}
    print(f"{arguments.config}; {machine(device)}")
    print("matrix product: " + ", ".join(f"{name} {rate / 1e9:.0f} GFLOP/s" for name, rate in peaks.items()))
    for batch in arguments.batch:
        clip, rois = inputs(model, batch, arguments.people, *arguments.size, device)
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            model(clip, rois)
        ways = ways_of(model, device, with_compiled=arguments.compiled)
        fastest = compare(ways, clip, rois, counter.get_total_flops(), peaks, arguments.runs)
        if arguments.profile:
            print_profile(fastest, clip, rois)


if __name__ == "__main__":
    main()
