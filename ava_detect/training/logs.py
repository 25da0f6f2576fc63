"""The logs of a training: csv files that survive a kill and a resume, and TensorBoard event files."""

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
    """A csv file that is written row by row; each row is in the file when ``write`` returns.

    Args:
        path: The file.
        columns: Names of the columns, the first of them the step.
        done_steps: The step to resume from. Rows of an earlier run up to it are kept; later rows, and a last row that
            was cut off, are dropped.

    Raises:
        TrainingError: The existing file has other columns.
    """

    def __init__(self, path: Path, columns: Sequence[str], *, done_steps: int) -> None:
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
        """Append a row.

        Args:
            row: A value for every column.
        """
        with self._path.open("a", encoding="utf-8") as file:
            file.write(self._line(row))

    def _line(self, row: Mapping[str, Any]) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow([row[column] for column in self.columns])
        return text.getvalue()


class TensorBoardLog:
    """TensorBoard event files; does nothing if TensorBoard is not installed.

    Args:
        folder: Folder of the event files.
        done_steps: The step to resume from; TensorBoard hides later events of an earlier run.
    """

    def __init__(self, folder: Path, *, done_steps: int) -> None:
        self._writer: Any = None
        if importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder), purge_step=done_steps + 1)

    def write(self, group: str, row: Mapping[str, Any], step: int) -> None:
        """Add a point to the curve ``group/column`` of each number.

        Args:
            group: First part of the curves' names.
            row: Values by column; text, ``step`` and ``epoch`` are skipped.
            step: The step of the point.
        """
        if self._writer is not None:
            for name, value in row.items():
                if isinstance(value, int | float) and name not in ("step", "epoch"):
                    self._writer.add_scalar(f"{group}/{name}", value, step)
            self._writer.flush()

    def close(self) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()


class TrainingLog:
    """The history of a training: ``log.csv`` and ``validation.csv``, and the same as TensorBoard curves.

    Args:
        out: Folder of the logs.
        score_names: Names of the numbers of a validation, the columns of ``validation.csv``.
        done_steps: The step of the checkpoint to resume from; later rows are dropped.
        every: Number of steps per row of ``log.csv``.
        clips_per_step: Number of clips per step.
        scored_steps: The last step whose validation is kept; None for ``done_steps``.
        layer_scales: Factors of the learning rate of each layer, from the first to the last. Where there are several,
            ``log.csv`` has the first layer's rate beside ``lr``, the last one's, and TensorBoard a curve per layer.
    """

    COLUMNS = ("step", "epoch", "loss", "lr", "grad_norm", "clips_per_second", "data_wait", "memory_mib")
    FIRST_LAYER = "lr_first_layer"

    def __init__(
        self,
        out: Path,
        score_names: Sequence[str],
        *,
        done_steps: int,
        every: int,
        clips_per_step: int,
        scored_steps: int | None = None,
        layer_scales: Sequence[float] = (1.0,),
    ) -> None:
        scored_steps = done_steps if scored_steps is None else scored_steps
        columns = self.COLUMNS if len(layer_scales) == 1 else (*self.COLUMNS, self.FIRST_LAYER)
        self._steps = CsvLog(out / STEPS, columns, done_steps=done_steps)
        self._scores = CsvLog(out / SCORES, ("step", "epoch", *score_names), done_steps=scored_steps)
        self._tensorboard = TensorBoardLog(out / EVENTS, done_steps=done_steps)
        self._every = every
        self._clips_per_step = clips_per_step
        self._layer_scales = tuple(layer_scales)
        self._start_interval()

    def add(self, step: int, epoch: float, done: Step, learning_rate: float, waited_seconds: float) -> None:
        """Record a step; every ``every`` steps a row of their means is written.

        Args:
            step: Number of steps done.
            epoch: Number of epochs done, with the fraction.
            done: Loss and gradient norm of the step.
            learning_rate: The learning rate of the step, that of the last layer.
            waited_seconds: Time that the step waited for its clips, seconds.
        """
        self._last = (step, epoch, learning_rate)
        self._num += 1
        self._loss += done.loss
        self._grad_norm += done.grad_norm
        self._waited += waited_seconds
        if step % self._every == 0:
            self.end_interval()

    def end_interval(self) -> None:
        """Write the row of the steps since the last row; called before a checkpoint, so that no row spans one."""
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
        if len(self._layer_scales) > 1:
            rates = {f"layer_{i}": learning_rate * scale for i, scale in enumerate(self._layer_scales)}
            row[self.FIRST_LAYER] = rates["layer_0"]
            self._tensorboard.write("learning_rate", rates, step)
        self._steps.write(row)
        self._tensorboard.write("train", row, step)
        self._start_interval()

    def add_score(self, step: int, epoch: float, score: Score) -> None:
        """Write the row of a validation, and start the next interval, which leaves out the validation's time.

        Args:
            step: Number of steps done.
            epoch: Number of epochs done, with the fraction.
            score: The score.
        """
        row = {"step": step, "epoch": round(epoch, 4), **score.details}
        self._scores.write(row)
        self._tensorboard.write("validation", row, step)
        self._start_interval()

    def close(self) -> None:
        """Close the files."""
        self._tensorboard.close()

    def _start_interval(self) -> None:
        self._num, self._loss, self._grad_norm, self._waited = 0, 0.0, 0.0, 0.0
        self._started = time.perf_counter()


def _memory_mib() -> int:
    """The peak memory allocated on the GPU so far, or without a GPU the resident memory of the process, in MiB."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() // 2**20
    return int(psutil.Process().memory_info().rss) // 2**20
