"""What the writers of every format give: a function that writes one keyframe, or the chosen scores of it.

Shapes: N people on a keyframe, C actions.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from ava_detect.structures import ActionDetections

BoolArray = npt.NDArray[np.bool_]


class WriteKeyframe(Protocol):
    """Appends a keyframe to a file, or to several."""

    def __call__(self, keyframe: ActionDetections, kept: BoolArray | None = None, /) -> None:
        """Write a keyframe.

        Args:
            keyframe: The keyframe.
            kept: bool ``[N, C]``, which scores are written; None for all. What becomes of a person without any is the
                format's own: JSON lines have them with their box, and formats of a row per score leave them out.
        """
        ...


def kept_scores(keyframe: ActionDetections, kept: BoolArray | None) -> BoolArray:
    """Return which scores of a keyframe are written.

    Args:
        keyframe: The keyframe.
        kept: bool ``[N, C]``; None for all.

    Returns:
        bool ``[N, C]``.
    """
    return np.ones(keyframe.action_scores.shape, np.bool_) if kept is None else kept
