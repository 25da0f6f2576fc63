"""Time one forward pass of a network in every form and precision, and compare with the definition and with the machine.

    python tools/benchmark_forward.py [CONFIG] [--size 256 340] [--batch 1] [--runs 7] [--threads 2] [--compiled]
    python tools/benchmark_forward.py CONFIG --device cuda --size 256 456 --batch 1 4 16 64 --compiled --profile
    python tools/benchmark_forward.py CONFIG --runtimes onnxruntime openvino      # needs: pip install openvino

The forms run in alternation; ratios are of medians, relative to the first form: eager fp32 or, for a plain ViT, the
same network with attention as the peers' code computes it. The floor is the network's number of floating-point
operations over the rate that a large matrix product reaches in the same process and precision. Weights are random, with
plausible batch-norm statistics. ``--compiled`` adds ``torch.compile`` of the definition (weights frozen on a CPU),
which the package itself does not use. ``--runtimes`` adds the ONNX export of the same network in other libraries, in
fp32. "MB more" is the greatest memory of one more call beyond what the process had before it (Linux only; not what
other libraries hold). ``--profile`` prints the five most expensive operations of the fastest form.

Shapes: B clips, T frames, H height, W width, M people, K classes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path

import numpy as np
import torch
from measuring import interleaved_medians, machine, peak_megabytes, precisions_of, seconds_of
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from ava_detect.config import load_config
from ava_detect.config.build import build_model
from ava_detect.models.action_detector import ActionDetector, require_detector
from ava_detect.models.execution import has_fused_ops, prepare
from ava_detect.models.export import export_onnx
from ava_detect.models.network_options import Precision
from ava_detect.models.vit import Attention, VisionTransformer

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
# Side of the square matrices whose product measures the peak rate.
MATRIX_SIDE = {"cpu": 2048, "cuda": 8192}

# (clip [B, 3, T, H, W], rois [M, 5]) -> logits [M, K].
Forward = Callable[[Tensor, Tensor], Tensor]
# The name of a form of the network, and its precision.
Form = tuple[str, Precision]


def build_lively_model(config: str) -> ActionDetector:
    """Build a network with random batch norms, whose residual branches are not 0 as in a freshly built one."""
    model, generator = require_detector(build_model(load_config(config))), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, nn.BatchNorm3d):
                scale = 1e-6 if "nonlocal" in name else 0.3 if name.endswith(".c.bn") else 1.0
                module.weight.uniform_(0.8 * scale, 1.2 * scale, generator=generator)
                module.running_var.uniform_(0.8, 1.2, generator=generator)
                module.running_mean.normal_(0, 0.1, generator=generator)
        model.head.projection.weight.normal_(0, 0.05, generator=generator)
    return model


class PeersAttention(Attention):
    """Attention as the code of UMT, VideoMAE-AD and mmaction2 computes it: with all weights of a clip in memory."""

    def forward(self, tokens: Tensor) -> Tensor:
        """``[B, N, D]`` -> ``[B, N, D]``; K heads."""
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        projected = nn.functional.linear(tokens, self.qkv.weight, bias).view(*tokens.shape[:2], 3, self.heads, -1)
        queries, keys, values = projected.permute(2, 0, 3, 1, 4)  # [B, K, N, D / K] each
        weights = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(2, 3)  # [B, K, N, N]
        attended = weights.softmax(dim=-1) @ values  # [B, K, N, D / K]
        result: Tensor = self.proj(attended.transpose(1, 2).reshape(tokens.shape))
        return result


def with_peers_attention(model: ActionDetector) -> ActionDetector:
    """Copy a plain ViT and let it attend as the peers' code does."""
    copy = deepcopy(model)
    for module in copy.modules():
        if isinstance(module, Attention):
            module.__class__ = PeersAttention
    return copy


def peak_flops(precision: Precision, device: str) -> float:
    """Measure the floating-point operations per second of a square matrix product, the best of 5."""
    side = MATRIX_SIDE[device]
    a, b = (torch.randn(side, side, device=device).to(DTYPES[precision]) for _ in range(2))
    a @ b
    return 2 * side**3 / min(seconds_of(lambda: a @ b, device)[0] for _ in range(5))


def builders_of(model: ActionDetector, device: str, *, with_compiled: bool) -> dict[Form, Callable[[], Forward]]:
    """Return a function that builds each form of the network; of a plain ViT, that of the peers comes first."""
    precisions = precisions_of(device)
    builders: dict[Form, Callable[[], Forward]] = {}
    if isinstance(model.backbone, VisionTransformer):
        builders["peers", "fp32"] = partial(prepare, with_peers_attention(model), execution="eager", device=device)
    for execution in ("eager", "fused"):
        for precision in precisions:
            if execution == "eager" or has_fused_ops(torch.device(device), DTYPES[precision]):
                builders[execution, precision] = partial(
                    prepare, model, execution=execution, precision=precision, device=device
                )
    if with_compiled:
        for precision in precisions:
            builders["compiled", precision] = partial(compile_model, model, precision, device)
    return builders


def compile_model(model: ActionDetector, precision: Precision, device: str) -> Forward:
    """Compile the definition with ``torch.compile``; on a CPU with frozen weights, so that they can be packed."""
    from torch._inductor import config

    config.freezing = device == "cpu"
    torch._dynamo.reset()
    run = torch.compile(model.eval())

    def call(clip: Tensor, rois: Tensor) -> Tensor:
        with torch.no_grad(), torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            return run(clip, rois).float()

    return call


def run_onnxruntime(path: Path, clip: Tensor) -> Forward:
    """Load an export of ``export_onnx`` with ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda clip, rois: _logits(session.run(None, {"clip": clip.numpy(), "rois": rois.numpy()})[0])


def run_openvino(path: Path, clip: Tensor) -> Forward:
    """Load an export of ``export_onnx`` with OpenVINO, for clips of this shape and any number of boxes."""
    import openvino

    core = openvino.Core()
    network = core.read_model(path)
    network.reshape({"clip": list(clip.shape), "rois": [-1, 5]})
    settings = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(network, "CPU", {**settings, "PERFORMANCE_HINT": "LATENCY"})
    return lambda clip, rois: _logits(compiled([clip.numpy(), rois.numpy()])[0])


RUNTIMES = {"onnxruntime": run_onnxruntime, "openvino": run_openvino}


def _logits(scores: np.ndarray) -> Tensor:
    """The export's scores as logits, like those of the other forms; a softmax's logarithm differs by a constant."""
    return torch.from_numpy(scores).double().logit().float()


def inputs(
    model: ActionDetector, batch: int, people: int, height: int, width: int, device: str
) -> tuple[Tensor, Tensor]:
    """Make clips of noise with ``people`` random boxes on each: clip ``[B, 3, T, H, W]`` and rois ``[M, 5]``."""
    clip = torch.randn(batch, 3, model.clip_settings.num_frames, height, width, device=device)
    # Two random corners per box, sorted so that the first is the top left one.
    corners = torch.rand(batch * people, 2, 2, device=device).sort(dim=1).values  # [M, corner, xy]
    boxes = (corners * torch.tensor([width, height], device=device)).flatten(1)  # [M, 4], pixels
    clip_index = torch.arange(batch, device=device).repeat_interleave(people)  # [M]
    return clip, torch.cat([clip_index[:, None], boxes], dim=1)


def compare(
    builders: Mapping[Form, Callable[[], Forward]],
    clip: Tensor,
    rois: Tensor,
    flops: int,
    peaks: Mapping[Precision, float],
    runs: int,
) -> Forward:
    """Time every form on one batch, print the table, and return the fastest form.

    Args:
        builders: A function that builds each form.
        clip: The clips ``[B, 3, T, H, W]``.
        rois: The boxes ``[M, 5]``.
        flops: Floating-point operations of one forward pass.
        peaks: Floating-point operations per second of a matrix product.
        runs: Number of timed runs per form.

    Returns:
        The form with the shortest median.
    """
    device = clip.device.type
    forms: dict[Form, Forward] = {}
    outputs, first_seconds = {}, {}
    for form, build in builders.items():
        started = time.perf_counter()
        forms[form] = build()
        outputs[form] = forms[form](clip, rois).cpu()
        first_seconds[form] = time.perf_counter() - started
    calls = {" ".join(form): partial(forward, clip, rois) for form, forward in forms.items()}
    medians = interleaved_medians(calls, runs, device)
    reference = next(iter(builders))
    exact, first = outputs[reference], medians[" ".join(reference)]
    print(f"{tuple(clip.shape)}, {len(rois)} people, {flops / 1e9:.0f} GFLOP; medians of {runs} runs; seconds")
    print(
        f"{'form':<14} {'wall':>7} {'CPU':>7} {'ratio':>6} {'CPU ratio':>10} {'of floor':>9} {'clips a second':>15} "
        f"{'first call':>11} {'logits off':>11} {'scores off':>11} {'MB more':>8}"
    )
    for form, logits in outputs.items():
        wall, cpu = medians[" ".join(form)]
        logits_off = (logits - exact).abs().max().item()
        scores_off = (logits.sigmoid() - exact.sigmoid()).abs().max().item()
        print(
            f"{' '.join(form):<14} {wall:7.3f} {cpu:7.3f} {first[0] / wall:6.2f} {first[1] / cpu:10.2f} "
            f"{flops / peaks[form[1]] / wall:9.0%} {len(clip) / wall:15.2f} {first_seconds[form]:11.2f} "
            f"{logits_off:11.1e} {scores_off:11.1e} {peak_megabytes(partial(forms[form], clip, rois)):8.0f}"
        )
    return forms[min(forms, key=lambda form: medians[" ".join(form)][0])]


def print_profile(forward: Forward, clip: Tensor, rois: Tensor) -> None:
    """Print the five operations that take most of a call's time: on the GPU if there is one, else on the CPU."""
    is_cuda = clip.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if is_cuda else [])]
    with profile(activities=activities, acc_events=True) as profiler:
        forward(clip, rois)
        if is_cuda:
            torch.cuda.synchronize()
    events = profiler.key_averages()
    times = {event.key: event.self_device_time_total if is_cuda else event.self_cpu_time_total for event in events}
    total = sum(times.values())
    for name in sorted(times, key=times.__getitem__, reverse=True)[:5]:
        print(f"  {times[name] / total:6.1%} {times[name] / 1e3:9.2f} ms  {name[:90]}")


def main() -> None:
    """Parse the arguments and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?", default="slowfast_r50_32x2")
    parser.add_argument("--size", type=int, nargs=2, default=(256, 340), metavar=("H", "W"))
    parser.add_argument("--batch", type=int, nargs="+", default=[1], help="clips per forward pass")
    parser.add_argument("--people", type=int, default=3, help="on each clip")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--compiled", action="store_true", help="torch.compile beside the package's own forms")
    parser.add_argument(
        "--runtimes", nargs="+", choices=RUNTIMES, default=[], help="other libraries beside it, on CPUs"
    )
    parser.add_argument("--profile", action="store_true", help="the five most expensive operations of the fastest form")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = arguments.device
    torch.manual_seed(0)
    model = build_lively_model(arguments.config).to(device)
    peaks = {precision: peak_flops(precision, device) for precision in precisions_of(device)}
    print(f"{arguments.config}; {machine(device)}")
    print("matrix product: " + ", ".join(f"{name} {rate / 1e9:.0f} GFLOP/s" for name, rate in peaks.items()))
    for batch in arguments.batch:
        clip, rois = inputs(model, batch, arguments.people, *arguments.size, device)
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            model(clip, rois)
        builders = builders_of(model, device, with_compiled=arguments.compiled)
        with tempfile.TemporaryDirectory() as folder:
            if arguments.runtimes:
                path = Path(folder) / "network.onnx"
                export_onnx(model, path)
                builders |= {(name, "fp32"): partial(RUNTIMES[name], path, clip) for name in arguments.runtimes}
            fastest = compare(builders, clip, rois, counter.get_total_flops(), peaks, arguments.runs)
        if arguments.profile:
            print_profile(fastest, clip, rois)


if __name__ == "__main__":
    main()
