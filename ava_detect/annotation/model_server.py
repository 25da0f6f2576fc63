"""A network apart from those who decode: what a server holds, and how a pipeline in another process scores with it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ava_detect.annotation.engines.base import Ask
from ava_detect.annotation.settings import AnnotateSettings
from ava_detect.errors import ConfigError
from ava_detect.models.zoo import RANDOM_WEIGHTS, resolve
from ava_detect.storage.local_files import sha256_of
from ava_detect.structures import Clip, ClipSettings, PersonBoxes

if TYPE_CHECKING:
    from ava_detect.inference.scorer import Scores

# The clips of a batch that show people, and these; None asks for ``_Facts``.
_Request = tuple[list[Clip], list[PersonBoxes]] | None


@dataclass(frozen=True)
class _Facts:
    """What a pipeline must know of a network that it does not have."""

    clip_settings: ClipSettings
    num_actions: int
    clips_per_batch: int


@dataclass(frozen=True)
class ModelServer:
    """Makes what a server holds: the network that scores. ``weights_sha256``: what its weights must be.

    ``num_threads``: of the network; their number decides the last bits of a score.
    """

    settings: AnnotateSettings
    weights_sha256: str | None
    num_threads: int

    def __call__(self, number: int) -> Callable[[_Request], Any]:
        """Build it, on one GPU after another where this machine has several. ``ConfigError`` for other weights."""
        import torch

        from ava_detect.annotation.video_annotator import build_scorer

        torch.set_num_threads(self.num_threads)
        # Ray shares what it carries with others; the network only reads it.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        if self.settings.device != "cpu" and torch.cuda.is_available():
            torch.cuda.set_device(number % torch.cuda.device_count())
        scorer, _ = build_scorer(require_same_weights(self.settings, self.weights_sha256))
        facts = _Facts(scorer.clip_settings, scorer.num_actions, scorer.clips_per_batch)
        return lambda request: facts if request is None else scorer.score(*request)


class RemoteScorer:
    """The scorer of a pipeline whose network is with the servers (``scoring.ClipScorer``)."""

    calls_at_once = 1

    def __init__(self, ask: Ask) -> None:
        """``ask``: reaches a ``ModelServer``; the first answer comes when one stands."""
        self._ask = ask
        facts: _Facts = ask(None)
        self.clip_settings = facts.clip_settings
        self.num_actions = facts.num_actions
        self.clips_per_batch = facts.clips_per_batch

    def start_thread(self) -> None:
        """Nothing: there is one call at a time."""

    def score(self, clips: Sequence[Clip], people: Sequence[PersonBoxes]) -> Scores:
        """Action scores ``[N, C]`` in 0..1 of the people on each clip; boxes in pixels of the clip.

        A clip without people is not sent.
        """
        scores: list[npt.NDArray[np.float32]] = [np.zeros((0, self.num_actions), np.float32) for _ in clips]
        occupied = [i for i, boxes in enumerate(people) if len(boxes)]
        if occupied:
            replies: Scores = self._ask(([clips[i] for i in occupied], [people[i] for i in occupied]))
            for i, reply in zip(occupied, replies, strict=True):
                scores[i] = reply
        return scores


def require_same_weights(settings: AnnotateSettings, weights_sha256: str | None) -> AnnotateSettings:
    """The same with the file that their name stands for on this machine. ``ConfigError`` where it is another one."""
    if settings.weights is None or settings.weights == RANDOM_WEIGHTS:
        return settings
    settings = replace(settings, weights=str(resolve(settings.weights)))
    if sha256_of(str(settings.weights)) != weights_sha256:
        raise ConfigError(
            f"{settings.weights} on this machine is another file than where the run was started (by SHA-256); give "
            "weights that all machines share"
        )
    return settings
