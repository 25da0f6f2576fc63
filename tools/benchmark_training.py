"""Measure the cost of training: loading clips, the memory of the loader's workers, and one step of the network.

    python tools/benchmark_training.py loader [--videos DIR] [--clips 24] [--workers 0 1 2] [--rounds 3]
    python tools/benchmark_training.py memory [--rows 60000 6000000] [--start fork spawn]
    python tools/benchmark_training.py step CONFIG [--batch 2] [--side 224] [--people 4]

``loader`` compares four loaders on the same clips (32 frames, every second one at 30 fps, short side 256 to 320, a crop
of 224, half of them flipped), in alternation: the package's from the video files; the package's from JPEG frames that
were extracted before; a straightforward one with PyAV's seek and torchvision's resize; and one with Pillow on the JPEG
frames. Without ``--videos`` it renders some. ``memory`` prints the unique and the proportional set size of a worker
that has loaded some clips of a data set with ``--rows`` rows. ``step`` times forward and backward passes by precision
and memory format.

Shapes: B clips, T frames, H height, W width, M people.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import av
import numpy as np
import psutil
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.v2 import functional as pixels

from ava_detect.config import Config, load_config
from ava_detect.config.build import build_model
from ava_detect.datasets.build import build_dataset
from ava_detect.datasets.synthetic.world import WorldSettings, write_world
from ava_detect.formats.ava_csv import AvaTable, write_ava_table
from ava_detect.video.clip_sampler import grid_point
from ava_detect.video.reader import VideoReader

NUM_FRAMES, RATE, FPS = 32, 2, 30
SHORT_SIDES, CROP = (256, 320), 224
BOX = (0.2, 0.2, 0.8, 0.8)
JPEG_QUALITY = 95
NUM_TINY_VIDEOS = 300
LOADED_BY_WORKER = 64


class Recipe(Dataset[torch.Tensor]):
    """The recipe's training clips as a straightforward script makes them, with torchvision's transforms.

    Args:
        read: Reads uint8 frames ``[T, H, W, 3]`` of a video around a second.
        keys: (video id, seconds) of each clip.
    """

    def __init__(self, read: Callable[[str, float], torch.Tensor], keys: Sequence[tuple[str, float]]) -> None:
        self.read = read
        self.keys = keys

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> torch.Tensor:
        generator = random.Random(index)
        frames = self.read(*self.keys[index]).movedim(-1, 1)  # [T, 3, H, W]
        # PySlowFast's jitter: uniform in the inverse of the short side.
        side = round(1 / generator.uniform(1 / SHORT_SIDES[1], 1 / SHORT_SIDES[0]))
        frames = pixels.resize(frames, [side], antialias=False)
        height, width = frames.shape[-2:]
        top, left = generator.randint(0, height - CROP), generator.randint(0, width - CROP)
        frames = pixels.crop(frames, top, left, CROP, CROP)
        return (pixels.horizontal_flip(frames) if generator.random() < 0.5 else frames).contiguous()


def read_with_pyav(paths: dict[str, Path], video: str, seconds: float) -> torch.Tensor:
    """Read the frames shown at the clip's times: seek to the I-frame before the first, decode, convert."""
    wanted = [max(0.0, seconds + (i - NUM_FRAMES // 2) * RATE / FPS) for i in range(NUM_FRAMES)]
    with av.open(str(paths[video])) as container:
        stream = container.streams.video[0]
        container.seek(int(wanted[0] / stream.time_base), stream=stream)
        frames, last = [], None
        for frame in container.decode(stream):
            while len(frames) < NUM_FRAMES and frame.time > wanted[len(frames)]:
                frames.append(frame if last is None else last)
            if len(frames) == NUM_FRAMES:
                break
            last = frame
        frames += [last] * (NUM_FRAMES - len(frames))
        return torch.from_numpy(np.stack([frame.to_ndarray(format="rgb24") for frame in frames]))


def read_jpegs(frames: Path, counts: dict[str, int], video: str, seconds: float) -> torch.Tensor:
    """Read frames that were extracted at 30 fps, with Pillow."""
    centre = grid_point(seconds, FPS)
    numbers = [min(max(centre + (i - NUM_FRAMES // 2) * RATE, 0) + 1, counts[video]) for i in range(NUM_FRAMES)]
    images = [Image.open(frames / video / f"{video}_{number:06d}.jpg").convert("RGB") for number in numbers]
    return torch.from_numpy(np.stack([np.asarray(image) for image in images]))


def training_config(annotations: Path, **paths: Path) -> Config:
    """Build the config of the recipe's clips; ``paths``: ``videos`` or ``frames`` of the split."""
    split = {"annotations": str(annotations), **{name: str(path) for name, path in paths.items()}}
    data = {"train": split, "short_side": list(SHORT_SIDES), "crop": CROP}
    clip = {"num_frames": NUM_FRAMES, "sampling_rate": RATE, "resize": "swscale"}
    return Config.model_validate({"data": data, "clip": clip})


def link_videos(folder: Path, into: Path) -> None:
    """Link the seekable videos of 4 to 30 s into one folder: long enough for a clip, short enough to extract."""
    into.mkdir(parents=True)
    for path in sorted(folder.iterdir()):
        try:
            info = VideoReader(path).info
        except ValueError:
            continue
        if 4 <= (info.duration_seconds or 0) <= 30 and info.container not in ("avi", "h264"):
            (into / path.name).symlink_to(path.resolve())


def extract_frames(videos: Path, out: Path) -> None:
    """Extract JPEG frames at 30 fps in PySlowFast's layout; remove a damaged video from both folders."""
    for path in sorted(videos.iterdir()):
        (out / path.stem).mkdir(parents=True)
        number, image, video = 0, None, VideoReader(path)
        for frame in video:
            while image is not None and number < grid_point(frame.timestamp_seconds, FPS):
                number += 1
                image.save(out / path.stem / f"{path.stem}_{number:06d}.jpg", quality=JPEG_QUALITY)
            image = Image.fromarray(frame.image)
        if video.damaged_packets:
            path.unlink()
            shutil.rmtree(out / path.stem)


def write_keyframes(videos: Path, path: Path, num_clips: int) -> list[tuple[str, float]]:
    """Draw ``num_clips`` whole seconds with a clip around them; write one box on each; return (video, seconds)."""
    keys = []
    for file in sorted(videos.iterdir()):
        duration = VideoReader(file).info.duration_seconds or 0
        keys += [(file.stem, float(second)) for second in range(1, int(duration - 1))]
    keys = sorted(random.Random(0).sample(keys, min(num_clips, len(keys))))
    names, seconds = zip(*keys, strict=True)
    write_ava_table(path, AvaTable.from_columns(names, seconds, [BOX] * len(keys), [12] * len(keys)))
    return keys


def cpu_seconds() -> float:
    """Return the CPU time of this process and its workers so far, seconds."""
    current = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in (current, *current.children(recursive=True)))


def measure(loader: DataLoader) -> tuple[float, float]:
    """Measure clips per second and CPU milliseconds per clip of one pass."""
    start, cpu = time.perf_counter(), cpu_seconds()
    count = sum(1 for _ in loader)
    return count / (time.perf_counter() - start), 1000 * (cpu_seconds() - cpu) / count


def benchmark_loader(arguments: argparse.Namespace) -> None:
    """Compare the four loaders and print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.videos is None:
            write_world(folder, WorldSettings(seed=1, num_movies=3, seconds=10))
        else:
            link_videos(arguments.videos, folder / "videos")
        videos, frames, csv = folder / "videos", folder / "frames", folder / "keyframes.csv"
        extract_frames(videos, frames)
        keys = write_keyframes(videos, csv, arguments.clips)
        print(f"{len(keys)} clips of {len(list(videos.iterdir()))} videos; {size_of(videos, frames)}")
        counts = {folder.name: len(list(folder.iterdir())) for folder in frames.iterdir()}
        loaders: dict[str, Dataset] = {
            "ours, video files": build_dataset(training_config(csv, videos=videos), "train", training=True),
            "ours, JPEG frames": build_dataset(training_config(csv, frames=frames), "train", training=True),
            "PyAV seek": Recipe(partial(read_with_pyav, {path.stem: path for path in videos.iterdir()}), keys),
            "Pillow, JPEG frames": Recipe(partial(read_jpegs, frames, counts), keys),
        }
        print("medians of the rounds: clips a second, as a multiple of PyAV seek's in the same round, CPU ms a clip")
        for workers in arguments.workers:
            measured = measure_interleaved(loaders, workers, arguments.rounds)
            pyav_rates = [rate for rate, _ in measured["PyAV seek"]]
            for loader, rounds in measured.items():
                rates, costs = zip(*rounds, strict=True)
                ratio = statistics.median(a / b for a, b in zip(rates, pyav_rates, strict=True))
                rate, cost = statistics.median(rates), statistics.median(costs)
                print(f"{workers} workers  {loader:<22}{rate:8.2f} {ratio:6.2f}x {cost:6.0f} ms", flush=True)


def measure_interleaved(
    datasets: dict[str, Dataset], workers: int, rounds: int
) -> dict[str, list[tuple[float, float]]]:
    """Measure every data set in every round; a first round, which starts the workers, is not counted."""
    loaders = {
        name: DataLoader(dataset, batch_size=None, num_workers=workers, persistent_workers=workers > 0)
        for name, dataset in datasets.items()
    }
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in datasets}
    for number in range(rounds + 1):
        names = list(loaders)
        # Each round starts with another loader.
        for name in names[number % len(names) :] + names[: number % len(names)]:
            result = measure(loaders[name])
            if number:
                measured[name].append(result)
    return measured


def size_of(videos: Path, frames: Path) -> str:
    """Describe the size of both folders."""

    def megabytes(folder: Path) -> str:
        return f"{sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 1e6:.1f} MB"

    return f"{megabytes(videos)} as videos, {megabytes(frames)} as JPEG frames"


class MemoryAfterLoading(Dataset[tuple[int, float, float]]):
    """Load a sample; return its process id and that process's (unique, proportional) set size in MB."""

    def __init__(self, dataset: Dataset, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[int, float, float]:
        self.dataset[self.indices[index]]
        # Free memory that malloc keeps is no copy of the data set: it depends on what the parent freed before the fork.
        ctypes.CDLL(None).malloc_trim(0)
        memory = psutil.Process().memory_full_info()
        return os.getpid(), memory.uss / 1e6, memory.pss / 1e6


def write_many_rows(folder: Path, num_rows: int) -> Path:
    """Write annotations of ``num_rows`` rows for hard links to one tiny video, which is much shorter than they are."""
    videos = folder / "videos"
    videos.mkdir(parents=True)
    write_world(folder / "one", WorldSettings(seed=1, seconds=2, width=96, height=64))
    (movie,) = (folder / "one" / "videos").iterdir()
    for number in range(NUM_TINY_VIDEOS):
        os.link(movie, videos / f"v{number:03d}.mp4")
    rows = np.arange(num_rows)
    people = rows // 3
    boxes = np.stack([people % 50, people % 40, 60 + people % 37, 55 + people % 41], axis=1) / 100
    table = AvaTable(
        tuple(f"v{number:03d}" for number in range(NUM_TINY_VIDEOS)),
        (rows * NUM_TINY_VIDEOS // num_rows).astype(np.int32),
        (people // 5 % 900).astype(np.float64),
        boxes,
        np.array([12, 17, 80], np.int32)[rows % 3],
        np.full(num_rows, np.nan),
        people,
    )
    write_ava_table(folder / "train.csv", table)
    return folder / "train.csv"


def worker_memory(folder: Path, num_rows: int, start_method: str, workers: int = 2) -> tuple[float, float]:
    """Return the largest (unique, proportional) set size in MB of the workers after each has loaded its clips."""
    config = training_config(write_many_rows(folder, num_rows), videos=folder / "videos")
    dataset = build_dataset(config, "train", training=True)
    # Only the first seconds lie inside the tiny video.
    inside = [index for index, (_, seconds) in enumerate(dataset.keys) if seconds < 2]
    positions = np.linspace(0, len(inside) - 1, LOADED_BY_WORKER * workers).astype(int)
    indices = [inside[position] for position in positions]
    loader = DataLoader(
        MemoryAfterLoading(dataset, indices), batch_size=None, num_workers=workers, multiprocessing_context=start_method
    )
    last = {process: (unique, proportional) for process, unique, proportional in loader}
    return max(unique for unique, _ in last.values()), max(proportional for _, proportional in last.values())


def benchmark_memory(arguments: argparse.Namespace) -> None:
    """Print the memory of a loader's worker by start method and number of rows."""
    print(f"{'start':<8}{'rows':>12}{'unique MB':>12}{'proportional MB':>18}   of each of 2 workers")
    for start_method in arguments.start:
        for num_rows in arguments.rows:
            with tempfile.TemporaryDirectory() as folder:
                unique, proportional = worker_memory(Path(folder), num_rows, start_method)
            print(f"{start_method:<8}{num_rows:>12,}{unique:>12.1f}{proportional:>18.1f}", flush=True)


def benchmark_step(arguments: argparse.Namespace) -> None:
    """Print the time of a forward and backward pass by precision and memory format."""
    config = load_config(arguments.config)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    variants = {"fp32": (torch.float32, False), "fp32 channels_last": (torch.float32, True)}
    variants |= {"bf16": (torch.bfloat16, False), "bf16 channels_last": (torch.bfloat16, True)}
    steps = {name: prepare_step(config, arguments, device, *variant) for name, variant in variants.items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    # The first round is a warm-up.
    for number in range(arguments.rounds + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if number:
                seconds[name].append((time.perf_counter() - start) / arguments.batch)
    print(f"{arguments.config}, batch {arguments.batch}, {config.clip.num_frames} x {arguments.side} px, {device}")
    for name, clip_seconds in seconds.items():
        print(f"{name:<20}{1000 * statistics.median(clip_seconds):10.1f} ms a clip, forward and backward")


def prepare_step(
    config: Config, arguments: argparse.Namespace, device: str, dtype: torch.dtype, channels_last: bool
) -> Callable[[], None]:
    """Build a network and a batch; return a function that runs a forward and a backward pass."""
    model = build_model(config).train().to(device)
    clip = torch.randn(arguments.batch, 3, config.clip.num_frames, arguments.side, arguments.side, device=device)
    if channels_last:
        model, clip = model.to(memory_format=torch.channels_last_3d), clip.to(memory_format=torch.channels_last_3d)
    corners = torch.tensor(BOX, device=device) * arguments.side
    clip_index = torch.arange(arguments.batch, device=device).repeat_interleave(arguments.people)  # [M]
    rois = torch.cat([clip_index[:, None].float(), corners.expand(len(clip_index), 4)], dim=1)  # [M, 5]

    def step() -> None:
        model.zero_grad(set_to_none=True)
        with nullcontext() if dtype == torch.float32 else torch.autocast(device, dtype):
            logits = model(clip) if config.model.task == "classification" else model(clip, rois)
        torch.nn.functional.binary_cross_entropy_with_logits(
            logits.float(), torch.zeros_like(logits.float())
        ).backward()
        if device == "cuda":
            torch.cuda.synchronize()

    return step


def main() -> None:
    """Parse the arguments and run the chosen benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    loader = commands.add_parser("loader")
    loader.add_argument("--videos", type=Path)
    loader.add_argument("--clips", type=int, default=24)
    loader.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    loader.add_argument("--rounds", type=int, default=3)
    loader.set_defaults(run=benchmark_loader)
    memory = commands.add_parser("memory")
    memory.add_argument("--rows", type=int, nargs="+", default=[60_000, 6_000_000])
    memory.add_argument("--start", nargs="+", choices=("fork", "spawn", "forkserver"), default=["fork", "spawn"])
    memory.set_defaults(run=benchmark_memory)
    step = commands.add_parser("step")
    step.add_argument("config")
    step.add_argument("--batch", type=int, default=2)
    step.add_argument("--side", type=int, default=224)
    step.add_argument("--people", type=int, default=4)
    step.add_argument("--rounds", type=int, default=3)
    step.set_defaults(run=benchmark_step)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
