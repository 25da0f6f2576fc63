"""Detections and ground truth of which it is known which detection is right: a person a keyframe, in one box."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

BOX = "0.1,0.1,0.5,0.9"


class Scored(NamedTuple):
    """The score of an action on a keyframe, and whether the person does it.

    Attributes:
        video: Id of the video.
        second: Time of the keyframe.
        action_id: Id of the action.
        score: Its score; None where it is not detected.
        is_true: Whether the ground truth has it.
    """

    video: str
    second: int
    action_id: int
    score: float | None
    is_true: bool


def write_scored(folder: Path, rows: Iterable[Scored]) -> tuple[Path, Path]:
    """Write ``truth.csv``, which lists every keyframe, and ``found.csv``.

    Args:
        folder: The folder.
        rows: The scores, each action once a keyframe.

    Returns:
        Their paths.
    """
    rows = list(rows)
    truth = [f"{video},{second}" for video, second in dict.fromkeys((row.video, row.second) for row in rows)]
    truth += [f"{row.video},{row.second},{BOX},{row.action_id}" for row in rows if row.is_true]
    found = [f"{row.video},{row.second},{BOX},{row.action_id},{row.score}" for row in rows if row.score is not None]
    paths = folder / "truth.csv", folder / "found.csv"
    for path, lines in zip(paths, (truth, found), strict=True):
        path.write_text("".join(f"{line}\n" for line in lines))
    return paths


def of_class(action_id: int, scores: Iterable[tuple[float, bool]], video: str = "a") -> list[Scored]:
    """Return the scores of one class, a keyframe each.

    Args:
        action_id: Id of the action.
        scores: Score and whether it is right.
        video: Id of the video.

    Returns:
        The rows.
    """
    return [Scored(video, second, action_id, score, is_true) for second, (score, is_true) in enumerate(scores)]
