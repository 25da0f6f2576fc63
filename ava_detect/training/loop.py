"""The training loop: a config in, weights and their history out, on one process or many.

One step is one batch of ``train.batch_size`` clips, however many processes and accumulated passes it is cut into; its
loss is the mean over all people of all of them (``losses``, ``learner``). Accelerate knows the device, the precision
and the other processes. Whatever is needed to go on is in ``OUT/last.pt`` (``checkpoint``).

``OUT``, a folder or an address (``run_files``): ``log.csv``, ``validation.csv``, ``tensorboard/``, ``last.pt``,
``best.pt``, ``model.safetensors`` (the best network, with its config, as ``ava-detect annotate --weights`` takes it).
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
from ava_detect.config.build import build_model, self_contained
from ava_detect.datasets.build import build_dataset
from ava_detect.errors import ConfigError, DivergedError, TrainingError
from ava_detect.models.weights import save_weights
from ava_detect.storage.addresses import Address, is_address
from ava_detect.storage.local_files import remove_stale_temporaries
from ava_detect.structures.progress import OnProgress, Progress
from ava_detect.training.batches import StepSampler, training_batches
from ava_detect.training.checkpoint import (
    check_same_training,
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
from ava_detect.training.run_files import BEST, LAST, SCORES, STEPS, WEIGHTS, RunFiles
from ava_detect.training.schedule import learning_rate
from ava_detect.training.validation import Validation, build_validation, metric_of, names_of_details


@dataclass(frozen=True)
class TrainResult:
    """A training that ended. ``loss``: of the last step. ``score``: the best on the validation split, by ``metric``, in
    epoch ``best_epoch``; None without a validation. ``seconds``: of this run.
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
        """A dict for ``json.dumps``."""
        return asdict(self)


def train(
    config: Config,
    out: str | Path | Address,
    *,
    resume: bool = False,
    on_progress: OnProgress | None = None,
) -> TrainResult:
    """Learn the weights of ``config`` from its data and leave them, with their history, in ``out``: a folder, or an
    address whose scheme fsspec knows.

    ``resume``: go on from the checkpoint in ``out``, if there is one, as if nothing had happened. Started by
    ``torchrun`` or ``accelerate launch``, every process calls this. ``on_progress`` is called after each step, in the
    main process. Raises ``ConfigError``; ``TrainingError`` for another training in ``out``; ``DivergedError`` when the
    loss is no number; ``StoreError`` where an address does not answer; and what the data set and the weights to start
    from raise.
    """
    if config.data.train is None:
        raise ConfigError(
            "the config says nothing of data.train, so there is nothing to learn from; give its annotations and videos"
        )
    _check_data_is_here(config)
    with RunFiles(out) as files:
        if not resume and files.is_there(LAST):
            raise TrainingError(
                f"{files} holds a training already; go on with it (`resume=True`), or choose another folder"
            )
        with open_processes(config.train.precision) as accelerator:
            return _Training(config, files, accelerator, resume=resume).run(on_progress)


def _check_data_is_here(config: Config) -> None:
    """A clip asks for a few frames anywhere in a movie, thousands of times an epoch: no work for object storage."""
    for name, split in (("train", config.data.train), ("val", config.data.val)):
        for what, place in (split.model_dump() if split else {}).items():
            if is_address(place):
                raise ConfigError(
                    f"data.{name}.{what} is {Address(place)}, but a training reads its videos and annotations from a "
                    "disk; copy or mount them at the same path on every machine, and give that path (`out` may be an "
                    "address)"
                )


class _Training:
    """One run of the loop in one process."""

    def __init__(self, config: Config, files: RunFiles, accelerator: Any, *, resume: bool) -> None:
        self.config, self.settings, self.files, self.accelerator = config, config.train, files, accelerator
        self.notes: list[str] = []
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
        self._is_saved = state is not None
        if state is not None:
            self._continue_from(state)

    def _build_validation(self) -> Validation | None:
        if not self.settings.eval_every:
            return None
        if self.config.data.val is None:
            self.notes.append("there is no data.val, so nothing was validated; the weights are the last ones")
            return None
        return build_validation(self.config)

    def _saved_state(self) -> dict[str, Any] | None:
        """The checkpoint to go on from, the same one in every process; None where there is none."""
        name, path = self.files.where(LAST), self.files.fetch(LAST)
        state = None if path is None else load_checkpoint(path, name=name)
        self.files.forget(LAST)
        found = [None if state is None else (state["step"], state["loss"])]
        seen = gather(found)
        if len(set(seen)) > 1:
            steps = ", ".join("none" if one is None else f"step {one[0]}" for one in seen)
            raise TrainingError(
                f"the processes found different checkpoints at {name} ({steps}); `out` must be one place to all of "
                "them, and no earlier run may still be writing there"
            )
        if state is not None:
            check_same_training(name, state, self.config, len(self.clips))
        return state

    def run(self, on_progress: OnProgress | None) -> TrainResult:
        """All steps that are left."""
        started = time.perf_counter()
        log = self._open_log() if self.accelerator.is_main_process else None
        try:
            if log is not None:
                self.files.begin()
            self._learn(log, on_progress)
        finally:
            if log is not None:
                log.close()
        if log is not None:
            self.files.finish()
        return self._result(time.perf_counter() - started)

    def _learn(self, log: TrainingLog | None, on_progress: OnProgress | None) -> None:
        batches = training_batches(
            self.clips,
            self.sampler.over(range(self.step, self.num_steps)),
            num_workers=self.config.data.num_workers,
            pin_memory=self.accelerator.device.type == "cuda",
        )
        while self.step < self.num_steps:
            rate = self._one_step(batches, log)
            ends_epoch = self.step % self.sampler.steps_per_epoch == 0
            self._is_best = False
            saves = ends_epoch or (self.settings.save_every and self.step % self.settings.save_every == 0)
            if saves and log is not None:
                log.end_interval()
            if ends_epoch and self._validation_is_due():
                self._validate(log)
            if saves:
                self._save()
            if on_progress is not None and self.accelerator.is_main_process:
                figures = {"epoch": self.epoch, "loss": self.loss, "learning_rate": rate}
                if self.score is not None:
                    figures["score"] = self.score
                on_progress(Progress("steps", self.step, self.num_steps, figures=figures))

    @property
    def epoch(self) -> float:
        """Epochs done, parts of one included."""
        return self.step / self.sampler.steps_per_epoch

    def _one_step(self, batches: Iterator[Any], log: TrainingLog | None) -> float:
        """Learn from the next batch; returns the learning rate."""
        asked = time.perf_counter()
        parts = list(islice(batches, self.settings.accumulate))
        waited = time.perf_counter() - asked
        rate = learning_rate(self.settings, self.epoch)
        try:
            done = self.learner.step(parts, rate)
        except DivergedError as error:
            self.files.publish()  # the logs, which show how it came
            raise DivergedError(self._what_went_wrong(str(error), rate)) from error
        self.step += 1
        self.loss = done.loss
        if log is not None:
            log.add(self.step, self.epoch, done, rate, waited)
        return rate

    def _what_went_wrong(self, what: str, rate: float) -> str:
        last = self.files.where(LAST)
        saved = f"{last} holds the training as it was before" if self._is_saved else "nothing was saved yet"
        return (
            f"step {self.step + 1} (epoch {self.epoch:.2f}, learning rate {rate:g}): {what}, so the training stopped; "
            "try a lower train.learning_rate, more train.warmup_epochs, a train.clip_norm (1, say), or another "
            f"train.precision than {self.settings.precision}; {saved}"
        )

    def _validation_is_due(self) -> bool:
        if self.validation is None:
            return False
        epoch = self.step // self.sampler.steps_per_epoch
        return epoch % self.settings.eval_every == 0 or self.step == self.num_steps

    def _validate(self, log: TrainingLog | None) -> None:
        """Score the network; where it is the best so far, remember that."""
        assert self.validation is not None
        self.learner.equalise()
        score = self.validation(self.learner.evaluated, self.accelerator)
        self.score = score.value
        self._is_best = self.best is None or math.isnan(self.best[0]) or score.value > self.best[0]
        if self._is_best:
            self.best = (score.value, self.step // self.sampler.steps_per_epoch)
        if log is not None:
            log.add_score(self.step, self.epoch, score)

    def _save(self) -> None:
        """The checkpoint, and the weights where they are the best, or where nothing says which are."""
        states = gather([random_states()])
        self._is_saved = True
        if not self.accelerator.is_main_process:
            return
        state = {
            "config": self.config.model_dump(mode="json"),
            "num_clips": len(self.clips),
            "step": self.step,
            "loss": self.loss,
            "score": self.score,
            "best": self.best,
            "random": states,
            **self.learner.state(),
        }
        written = []
        if self.validation is None or self._is_best:
            inside = self_contained(self.config).model_dump(mode="json")
            save_weights(self.learner.evaluated, self.files.folder / WEIGHTS, config=inside)
            written.append(WEIGHTS)
        if self._is_best:
            save_checkpoint(self.files.folder / BEST, state)
            written.append(BEST)
        save_checkpoint(self.files.folder / LAST, state)
        self.files.publish(*written, LAST)

    def _continue_from(self, state: dict[str, Any]) -> None:
        self.learner.load(state)
        self.step, self.loss, self.score = state["step"], state["loss"], state["score"]
        self.best = None if state["best"] is None else tuple(state["best"])
        states = state["random"]
        if len(states) == self.accelerator.num_processes:
            restore_random_states(states[self.accelerator.process_index])
        else:
            self.notes.append(
                f"{self.accelerator.num_processes} processes go on where {len(states)} were; their dropout draws anew"
            )

    def _open_log(self) -> TrainingLog:
        folder = self.files.folder
        folder.mkdir(parents=True, exist_ok=True)
        remove_stale_temporaries(folder)
        if self._is_saved:
            self.files.fetch(STEPS)
            self.files.fetch(SCORES)
        return TrainingLog(
            folder,
            names_of_details(self.config),
            done_steps=self.step,
            every=self.settings.log_every,
            clips_per_step=self.settings.batch_size,
        )

    def _result(self, seconds: float) -> TrainResult:
        score, best_epoch = self.best or (None, None)
        return TrainResult(
            out=str(self.files),
            weights=self.files.where(WEIGHTS),
            steps=self.step,
            epochs=self.settings.epochs,
            loss=self.loss,
            metric=metric_of(self.config),
            score=score,
            best_epoch=best_epoch,
            seconds=seconds,
            notes=tuple(self.notes),
        )
