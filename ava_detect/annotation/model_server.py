"""A network in a server process, and the scorer with which a pipeline in another process uses it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ava_detect.annotation.engines.base import Ask
from ava_detect.annotation.settings import AnnotateSettings
from ava_detect.errors import ConfigError
from ava_detect.models.zoo import RANDOM_WEIGHTS
from ava_detect.storage.file_hashes import sha256_of
from ava_detect.structures import Clip, ClipSettings, PersonBoxes

if TYPE_CHECKING:
    from ava_detect.inference.scorer import Scores

# Clips that show people, and the people; None requests the ``_NetworkInterface``.
_Request = tuple[list[Clip], list[PersonBoxes]] | None


@dataclass(frozen=True)
class _NetworkInterface:
    """What a pipeline must know of a network in another process; see ``ClipScorer``."""

    clip_settings: ClipSettings
    num_actions: int
    clips_per_batch: int


@dataclass(frozen=True)
class ModelServer:
    """Makes the service of a server: the network.

    Attributes:
        settings: The config, the weights and how the network is run.
        weights_sha256: The hash that the weights must have; None for an untrained network.
        num_threads: Number of threads of the network, which can decide the last bits of a score.
    """

    settings: AnnotateSettings
    weights_sha256: str | None
    num_threads: int

    def __call__(self, number: int) -> Callable[[_Request], Any]:
        """Build the network; where the machine has several GPUs, each server takes the next.

        Args:
            number: The server's number, from 0 on.

        Returns:
            Answers requests: scores of clips, or the network's interface.

        Raises:
            ConfigError: The weights on this machine are others than where the run was started.
        """
        import torch

        from ava_detect.annotation.video_annotator import build_scorer

        torch.set_num_threads(self.num_threads)
        # Arrays from Ray's shared memory are read-only, and the network only reads them.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        if self.settings.device != "cpu" and torch.cuda.is_available():
            torch.cuda.set_device(number % torch.cuda.device_count())
        scorer, _ = build_scorer(require_same_weights(self.settings, self.weights_sha256))
        interface = _NetworkInterface(scorer.clip_settings, scorer.num_actions, scorer.clips_per_batch)
        return lambda request: interface if request is None else scorer.score(*request)


class RemoteScorer:
    """The scorer of a pipeline whose network is in a server process (a ``ClipScorer``).

    Args:
        ask: Sends a request to a ``ModelServer``; the first reply comes once one is ready.
    """

    calls_at_once = 1

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        interface: _NetworkInterface = ask(None)
        self.clip_settings = interface.clip_settings
        self.num_actions = interface.num_actions
        self.clips_per_batch = interface.clips_per_batch

    def start_thread(self) -> None:
        """Do nothing: there is one call at a time."""

    def score(self, clips: Sequence[Clip], people: Sequence[PersonBoxes]) -> Scores:
        """Score the people on each clip; a clip without people is not sent.

        Args:
            clips: B clips, sampled as ``clip_settings`` says.
            people: The people on each clip's keyframe, boxes in pixels of the clip.

        Returns:
            Per clip float32 ``[N, C]`` in 0..1.
        """
        scores: list[npt.NDArray[np.float32]] = [np.zeros((0, self.num_actions), np.float32) for _ in clips]
        occupied = [i for i, boxes in enumerate(people) if len(boxes)]
        if occupied:
            replies: Scores = self._ask(([clips[i] for i in occupied], [people[i] for i in occupied]))
            for i, reply in zip(occupied, replies, strict=True):
                scores[i] = reply
        return scores


def require_same_weights(settings: AnnotateSettings, weights_sha256: str | None) -> AnnotateSettings:
    """Return the settings with the path of this machine's weights file, after a check of its hash.

    Args:
        settings: The settings, with a file, an address or a name as ``weights``.
        weights_sha256: The hash of the weights where the run was started.

    Raises:
        ConfigError: The file on this machine has another hash.
    """
    settings = settings.with_weights_file()
    if settings.weights != RANDOM_WEIGHTS and sha256_of(settings.weights) != weights_sha256:
        raise ConfigError(
            f"{settings.weights} on this machine is another file than where the run was started (by SHA-256); give "
            "weights that all machines share"
        )
    return settings
