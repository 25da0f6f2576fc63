"""What a training says of itself: csv files that survive being killed and resumed, and TensorBoard's events."""

from __future__ import annotations

import csv
import importlib.util
import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import torch

from ava_detect.errors import TrainingError
from ava_detect.storage.local_files import write_text_atomic
from ava_detect.training.learner import Step
from ava_detect.training.run_files import EVENTS, SCORES, STEPS
from ava_detect.training.validation import Score


class CsvLog:
    """A csv file with one row at a time, each on disk when ``write`` returns; its first column is the step."""

    def __init__(self, path: Path, columns: Sequence[str], *, done_steps: int) -> None:
        """Rows of an earlier run up to ``done_steps`` stay; later ones, and one that was cut off, are dropped.

        ``TrainingError`` when the file that is there has other columns.
        """
        self.columns = tuple(columns)
        kept = [self._line(dict(zip(columns, columns, strict=True)))]
        if path.exists() and done_steps:
            first, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True) or [""]
            if first != kept[0]:
                raise TrainingError(f"{path} has other columns than this training writes; move it away, then resume")
            kept += [line for line in lines if line.endswith("\n") and int(line.partition(",")[0]) <= done_steps]
        write_text_atomic(path, "".join(kept))
        self._path = path

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a row; a value of every column."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(self._line(row))

    def _line(self, row: Mapping[str, Any]) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow([row[column] for column in self.columns])
        return text.getvalue()


class Events:
    """TensorBoard's events in ``folder``, or nothing where TensorBoard is not installed."""

    def __init__(self, folder: Path, *, done_steps: int) -> None:
        self._writer: Any = None
        if importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            # Events of an earlier run after the checkpoint are hidden.
            self._writer = SummaryWriter(str(folder), purge_step=done_steps + 1)

    def write(self, group: str, row: Mapping[str, Any], step: int) -> None:
        """The numbers of ``row`` as curves named ``group/column``."""
        if self._writer is not None:
            for name, value in row.items():
                if isinstance(value, int | float) and name not in ("step", "epoch"):
                    self._writer.add_scalar(f"{group}/{name}", value, step)
            self._writer.flush()

    def close(self) -> None:
        """End the file."""
        if self._writer is not None:
            self._writer.close()


class TrainingLog:
    """The history of a training in its folder: a row of numbers every so many steps, and one an evaluation."""

    COLUMNS = ("step", "epoch", "loss", "lr", "grad_norm", "clips_per_second", "data_wait", "memory_mib")

    def __init__(
        self, out: Path, score_names: Sequence[str], *, done_steps: int, every: int, clips_per_step: int
    ) -> None:
        """``score_names``: the numbers of an evaluation. ``done_steps``: the checkpoint's; later rows are dropped."""
        self._steps = CsvLog(out / STEPS, self.COLUMNS, done_steps=done_steps)
        self._scores = CsvLog(out / SCORES, ("step", "epoch", *score_names), done_steps=done_steps)
        self._events = Events(out / EVENTS, done_steps=done_steps)
        self._every = every
        self._clips_per_step = clips_per_step
        self._begin_interval()

    def add(self, step: int, epoch: float, done: Step, learning_rate: float, waited_seconds: float) -> None:
        """Take note of a step; a row is written every ``every`` steps, of means over them."""
        self._last = (step, epoch, learning_rate)
        self._num += 1
        self._loss += done.loss
        self._grad_norm += done.grad_norm
        self._waited += waited_seconds
        if step % self._every == 0:
            self.end_interval()

    def end_interval(self) -> None:
        """Write the row of the steps since the last one, so that no row spans a checkpoint."""
        if not self._num:
            return
        step, epoch, learning_rate = self._last
        seconds = max(time.perf_counter() - self._started, 1e-9)
        row = {
            "step": step,
            "epoch": round(epoch, 4),
            "loss": self._loss / self._num,
            "lr": learning_rate,
            "grad_norm": self._grad_norm / self._num,
            "clips_per_second": round(self._num * self._clips_per_step / seconds, 3),
            "data_wait": round(self._waited / seconds, 4),
            "memory_mib": _memory_mib(),
        }
        self._steps.write(row)
        self._events.write("train", row, step)
        self._begin_interval()

    def add_score(self, step: int, epoch: float, score: Score) -> None:
        """Write the row of an evaluation; its time belongs to no interval of steps."""
        row = {"step": step, "epoch": round(epoch, 4), **score.details}
        self._scores.write(row)
        self._events.write("validation", row, step)
        self._begin_interval()

    def close(self) -> None:
        """End the files."""
        self._events.close()

    def _begin_interval(self) -> None:
        self._num, self._loss, self._grad_norm, self._waited = 0, 0.0, 0.0, 0.0
        self._started = time.perf_counter()


def _memory_mib() -> int:
    """The most memory of the GPU that was used so far, or without one, what the process holds in RAM, in MiB."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() // 2**20
    return int(psutil.Process().memory_info().rss) // 2**20
