"""The training loop: train the network of a config, on one process or many.

One step is one batch of ``train.batch_size`` clips, split over the processes and accumulated passes; its loss is the
mean over all people of the whole batch (``losses``, ``learner``). Accelerate provides the device, the precision and the
communication between processes. The state to resume from is ``OUT/last.pt`` (``checkpoint``).

``OUT``, a folder or an address (``run_files``), gets ``log.csv``, ``validation.csv``, ``tensorboard/``, ``last.pt``,
``best.pt`` and ``model.safetensors`` (the best network with its config, for ``ava-detect annotate --weights``); with
corrections also ``held_out.csv`` and ``held_out.pbtxt``, the ground truth of those that were not trained on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ava_detect.config import Config
from ava_detect.config.build import build_model, label_map_of, self_contained
from ava_detect.config.memory import require_memory, require_memory_of_processes
from ava_detect.datasets.build import build_dataset
from ava_detect.datasets.corrections import ReviewedData
from ava_detect.errors import AvaDetectError, ConfigError, DivergedError, TrainingError
from ava_detect.formats.ava_csv import write_ava_table
from ava_detect.models.weights import inspect_file, save_weights
from ava_detect.models.zoo import resolve
from ava_detect.storage.addresses import Address, is_address
from ava_detect.storage.local_files import remove_stale_temporaries, write_text_atomic
from ava_detect.structures.progress import OnProgress, Progress, report_stage
from ava_detect.training.batches import StepSampler, training_batches
from ava_detect.training.checkpoint import (
    check_same_training,
    damage_named,
    load_checkpoint,
    random_states,
    restore_random_states,
    save_checkpoint,
    seed_everything,
)
from ava_detect.training.initialise import initialise
from ava_detect.training.learner import Learner
from ava_detect.training.logs import TrainingLog
from ava_detect.training.processes import gather, open_processes
from ava_detect.training.run_files import BEST, HELD_OUT, HELD_OUT_LABELS, LAST, SCORES, STEPS, WEIGHTS, RunFiles
from ava_detect.training.schedule import learning_rate
from ava_detect.training.validation import Validation, build_validation, detail_names, metric_name


@dataclass(frozen=True)
class TrainResult:
    """The outcome of a training.

    Attributes:
        out: The output folder or address.
        weights: The path or address of the best network's weights; of the last one's without a validation.
        steps: Number of steps, those of earlier runs included.
        epochs: Number of epochs.
        loss: Loss of the last step.
        metric: Name of the validation metric: ``"frame_mAP"``, ``"top1"`` or ``"mAP"``.
        score: The best value of the metric in 0..1; None without a validation.
        best_epoch: The epoch of that value; None without a validation.
        seconds: Duration of this run, seconds.
        notes: Remarks, such as where the initial weights came from.
    """

    out: str
    weights: str
    steps: int
    epochs: int
    loss: float
    metric: str
    score: float | None
    best_epoch: int | None
    seconds: float
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return asdict(self)


def train(
    config: Config,
    out: str | Path | Address,
    *,
    resume: bool = False,
    on_progress: OnProgress | None = None,
) -> TrainResult:
    """Train the network of a config; write its weights, logs and checkpoints.

    Under ``torchrun`` or ``accelerate launch`` every process calls this function.

    Args:
        config: The network, the data (``data.train``, ``data.corrections``) and the ``train`` settings.
        out: Output folder, or an address whose scheme fsspec knows.
        resume: Continue from the checkpoint in ``out``, if there is one; the result is that of an uninterrupted run.
        on_progress: Told of stages and after each step, in the main process only; None for no reports.

    Returns:
        The outcome, the same in every process except ``seconds``.

    Raises:
        ConfigError: The config cannot be trained, or ``out`` cannot be read or written.
        TrainingError: ``out`` holds a training and ``resume`` is False, or its checkpoint is of another training.
        DivergedError: The loss or its gradient is not finite.
        StoreError: The address does not answer.
        MissingDependencyError: Accelerate is not installed.
        AvaDetectError: The data set or the initial weights cannot be used.
    """
    if not config.data.has_training_data:
        raise ConfigError(
            "the config has no data.train, so there is nothing to train on; give its annotations and videos, or "
            "data.corrections"
        )
    _require_local_data(config)
    with RunFiles(out) as files:
        if not resume and files.exists(LAST):
            raise TrainingError(
                f"{files} holds a training already; continue it (`resume=True`), or choose another folder"
            )
        if not files.exists(LAST):
            files.check_free(_files_of(config), [HELD_OUT, HELD_OUT_LABELS] if config.data.corrections else [])
        with open_processes(config.train.precision) as accelerator:
            if accelerator.is_main_process:
                report_stage(on_progress, "reading the data, building the network")
            return _Training(config, files, accelerator, resume=resume).run(on_progress)


def _files_of(config: Config) -> dict[str, list[Any]]:
    """The files that a training reads, by the sections of the config."""
    files: dict[str, list[Any]] = {f"data.{name}": list(paths.values()) for name, paths in _data_paths(config).items()}
    if config.data.corrections is not None:
        files["data.corrections"] += Path(config.data.corrections.folder).glob("*")
    return files | {"train.initialise": [config.train.initialise]}


def _data_paths(config: Config) -> dict[str, dict[str, str]]:
    """The files and folders that the sections of ``config.data`` name: section -> key -> path."""
    data = config.data
    sections = {"train": data.train, "val": data.val, "corrections": data.corrections}
    return {
        name: {key: value for key, value in section.model_dump().items() if isinstance(value, str)}
        for name, section in sections.items()
        if section is not None
    }


def _require_local_data(config: Config) -> None:
    """Refuse videos at an address: a clip reads a few frames of a movie, thousands of times per epoch."""
    for name, paths in _data_paths(config).items():
        for key, path in paths.items():
            if is_address(path):
                raise ConfigError(
                    f"data.{name}.{key} is {Address(path)}, but a training reads its videos and annotations from a "
                    "disk; copy or mount them at the same path on every machine, and give that path (`out` may be an "
                    "address)"
                )


class _Training:
    """One run of the training loop in one process.

    Attributes:
        step: Number of steps done.
        loss: Loss of the last step.
        score: Value of the last validation; None before the first.
        best: Value and epoch of the best validation; None before the first.
    """

    def __init__(self, config: Config, files: RunFiles, accelerator: Any, *, resume: bool) -> None:
        self.config, self.settings, self.files, self.accelerator = config, config.train, files, accelerator
        self.notes: list[str] = []
        self._refuse_before_loading(resume=resume)
        self.clips = build_dataset(config, "train", training=True)
        self.sampler = StepSampler(
            len(self.clips),
            batch_size=self.settings.batch_size,
            accumulate=self.settings.accumulate,
            process=accelerator.process_index,
            num_processes=accelerator.num_processes,
            seed=self.settings.seed,
        )
        self.num_steps = self.settings.epochs * self.sampler.steps_per_epoch
        self.reviewed = ReviewedData.of(config)
        if self.reviewed is not None:
            self.notes.append(self.reviewed.note(label_map_of(config)))
        self.validation = self._build_validation()
        state = self._saved_state() if resume else None
        network = build_model(config, seed=self.settings.seed)
        if state is None and self.settings.initialise is not None:
            self.notes.append(initialise(network, self.settings.initialise))
        seed_everything(self.settings.seed + accelerator.process_index)
        self.learner = Learner(network, config, accelerator)
        self.step = 0
        self.loss = float("nan")
        self.score: float | None = None
        self.best: tuple[float, int] | None = None
        self._is_best = False
        self._validation_is_pending = False
        self._has_checkpoint = state is not None
        if state is not None:
            with damage_named(self.files.path_of(LAST)):
                self._restore(state)

    def _refuse_before_loading(self, *, resume: bool) -> None:
        """Refuse what the machine cannot hold, and a file to start from that is no weights file."""
        data, settings = self.config.data, self.settings
        require_memory(
            self.config,
            num_clips=max(1, settings.batch_size // (settings.accumulate * self.accelerator.num_processes)),
            short_side=data.crop or data.short_side[0],
            device=self.accelerator.device.type,
        )
        require_memory_of_processes(data.num_workers, "data.num_workers")
        if settings.initialise is not None and not resume:
            inspect_file(resolve(settings.initialise))

    def _build_validation(self) -> Validation | None:
        if not self.settings.eval_every:
            return None
        data = self.config.data
        if data.val is None and not data.is_validated_on_corrections:
            self.notes.append("there is no data.val, so nothing was validated; the weights are the last ones")
            return None
        return build_validation(self.config)

    def _saved_state(self) -> dict[str, Any] | None:
        """The checkpoint to resume from, which must be the same in every process; None if there is none."""
        name, path = self.files.path_of(LAST), self.files.fetch(LAST)
        state = None if path is None else load_checkpoint(path, name=name)
        self.files.remove_copy(LAST)
        with damage_named(name):
            own = [None if state is None else (state["step"], state["loss"])]
        of_all_processes = gather(own)
        if len(set(of_all_processes)) > 1:
            steps = ", ".join("none" if one is None else f"step {one[0]}" for one in of_all_processes)
            raise TrainingError(
                f"the processes found different checkpoints at {name} ({steps}); `out` must be the same folder for all "
                "of them, and no earlier run may still be writing to it"
            )
        if state is not None:
            with damage_named(name):
                check_same_training(name, state, self.config, len(self.clips))
        return state

    def run(self, on_progress: OnProgress | None) -> TrainResult:
        """Run the remaining steps."""
        started = time.perf_counter()
        log = self._open_log() if self.accelerator.is_main_process else None
        try:
            if log is not None:
                self.files.check_writable()
            self._run_steps(log, on_progress)
            if log is not None:
                self._write_held_out()
        finally:
            if log is not None:
                log.close()
        if log is not None:
            self.files.upload_remaining()
        return self._result(time.perf_counter() - started)

    def _run_steps(self, log: TrainingLog | None, on_progress: OnProgress | None) -> None:
        """Train, validate at the ends of epochs, and save; only the main process has a ``log``."""
        batches = training_batches(
            self.clips,
            self.sampler.over(range(self.step, self.num_steps)),
            num_workers=self.config.data.num_workers,
            pin_memory=self.accelerator.device.type == "cuda",
        )
        if self._validation_is_pending:
            # The run that wrote the checkpoint stopped before or during its validation.
            self._validate(log, on_progress)
        while self.step < self.num_steps:
            rate = self._one_step(batches, log)
            ends_epoch = self.step % self.sampler.steps_per_epoch == 0
            self._is_best = False
            is_saved = ends_epoch or (self.settings.save_every and self.step % self.settings.save_every == 0)
            if is_saved and log is not None:
                log.end_interval()
            self._validation_is_pending = ends_epoch and self._validation_is_due()
            if self._validation_is_pending:
                self.learner.synchronise_buffers()
            if is_saved:
                self._save()
            if self._validation_is_pending:
                self._validate(log, on_progress)
            if on_progress is not None and self.accelerator.is_main_process:
                figures = {"epoch": self.epoch, "loss": self.loss, "learning_rate": rate}
                if self.score is not None:
                    figures["score"] = self.score
                on_progress(Progress("steps", self.step, self.num_steps, figures=figures))

    def _write_held_out(self) -> None:
        """Write the ground truth of the corrections that are held out, to evaluate results from before and after."""
        if self.reviewed is None or not len(rows := self.reviewed.held_out_rows()):
            return
        write_ava_table(self.files.folder / HELD_OUT, rows)
        write_text_atomic(self.files.folder / HELD_OUT_LABELS, self.reviewed.truth.label_map.to_pbtxt())
        self.files.upload(HELD_OUT, HELD_OUT_LABELS)

    @property
    def epoch(self) -> float:
        """Number of epochs done, with the fraction."""
        return self.step / self.sampler.steps_per_epoch

    def _one_step(self, batches: Iterator[Any], log: TrainingLog | None) -> float:
        """Train on the next batch; return the learning rate."""
        started = time.perf_counter()
        parts = list(islice(batches, self.settings.accumulate))
        waited_seconds = time.perf_counter() - started
        rate = learning_rate(self.settings, self.epoch)
        try:
            done = self.learner.step(parts, rate)
        except DivergedError as error:
            # The logs show how the loss grew.
            self.files.upload()
            raise DivergedError(self._divergence_message(str(error), rate)) from error
        self.step += 1
        self.loss = done.loss
        if log is not None:
            log.add(self.step, self.epoch, done, rate, waited_seconds)
        return rate

    def _divergence_message(self, reason: str, rate: float) -> str:
        last = self.files.path_of(LAST)
        saved = f"{last} holds the training as it was before" if self._has_checkpoint else "nothing was saved yet"
        return (
            f"step {self.step + 1} (epoch {self.epoch:.2f}, learning rate {rate:g}): {reason}, so the training "
            "stopped; try a lower train.learning_rate, more train.warmup_epochs, a train.clip_norm (1, say), or "
            f"another train.precision than {self.settings.precision}; {saved}"
        )

    def _validation_is_due(self) -> bool:
        if self.validation is None:
            return False
        epoch = self.step // self.sampler.steps_per_epoch
        return epoch % self.settings.eval_every == 0 or self.step == self.num_steps

    def _validate(self, log: TrainingLog | None, on_progress: OnProgress | None) -> None:
        """Score the network, note whether it is the best so far, and save it with its score.

        The checkpoint was saved before, so that a validation that fails loses no step.
        """
        assert self.validation is not None
        if self.accelerator.is_main_process:
            report_stage(on_progress, "validating")
        try:
            score = self.validation(self.learner.evaluated, self.accelerator)
        except AvaDetectError as error:
            raise TrainingError(
                f"the validation after step {self.step}: {error} (nothing is lost: {self.files.path_of(LAST)} holds "
                "the training; correct this, then continue it with `resume=True`)"
            ) from error
        self.score = score.value
        self._is_best = self.best is None or math.isnan(self.best[0]) or score.value > self.best[0]
        if self._is_best:
            self.best = (score.value, self.step // self.sampler.steps_per_epoch)
        if log is not None:
            log.add_score(self.step, self.epoch, score)
        self._validation_is_pending = False
        self._save()

    def _save(self) -> None:
        """Write the checkpoint, and the weights if they are the best so far or nothing is validated."""
        states = gather([random_states()])
        self._has_checkpoint = True
        if not self.accelerator.is_main_process:
            return
        state = {
            "config": self.config.model_dump(mode="json"),
            "num_clips": len(self.clips),
            "step": self.step,
            "loss": self.loss,
            "score": self.score,
            "best": self.best,
            "validation_pending": self._validation_is_pending,
            "random": states,
            **self.learner.state_dict(),
        }
        written = []
        if self.validation is None or self._is_best:
            embedded_config = self_contained(self.config).model_dump(mode="json")
            save_weights(self.learner.evaluated, self.files.folder / WEIGHTS, config=embedded_config)
            written.append(WEIGHTS)
        if self._is_best:
            save_checkpoint(self.files.folder / BEST, state)
            written.append(BEST)
        save_checkpoint(self.files.folder / LAST, state)
        self.files.upload(*written, LAST)

    def _restore(self, state: dict[str, Any]) -> None:
        """Restore a checkpoint; the random states only for an unchanged number of processes."""
        self.learner.load_state_dict(state)
        self.step, self.loss, self.score = state["step"], state["loss"], state["score"]
        self.best = None if state["best"] is None else tuple(state["best"])
        # Checkpoints of earlier versions were written after the validation.
        self._validation_is_pending = state.get("validation_pending", False)
        states = state["random"]
        if len(states) == self.accelerator.num_processes:
            restore_random_states(states[self.accelerator.process_index])
        else:
            self.notes.append(
                f"{self.accelerator.num_processes} processes continue the training of {len(states)}; their random "
                "states, which dropout draws from, start over"
            )

    def _open_log(self) -> TrainingLog:
        folder = self.files.folder
        folder.mkdir(parents=True, exist_ok=True)
        remove_stale_temporaries(folder)
        if self._has_checkpoint:
            # The logs of the earlier run, which this one appends to.
            self.files.fetch(STEPS)
            self.files.fetch(SCORES)
        return TrainingLog(
            folder,
            detail_names(self.config),
            done_steps=self.step,
            # The row of a pending validation is written again.
            scored_steps=self.step - 1 if self._validation_is_pending else self.step,
            every=self.settings.log_every,
            clips_per_step=self.settings.batch_size,
            layer_scales=self.learner.layer_scales,
        )

    def _result(self, seconds: float) -> TrainResult:
        score, best_epoch = self.best or (None, None)
        return TrainResult(
            out=str(self.files),
            weights=self.files.path_of(WEIGHTS),
            steps=self.step,
            epochs=self.settings.epochs,
            loss=self.loss,
            metric=metric_name(self.config),
            score=score,
            best_epoch=best_epoch,
            seconds=seconds,
            notes=tuple(self.notes),
        )
