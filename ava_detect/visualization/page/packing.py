"""Data of one video as small scripts that the page loads as they are needed.

Each script calls ``AvaPage.register(key, value)``. Numbers are integers: boxes in ten-thousandths of the frame, scores
in thousandths. Keys, below the video's own (``0001``):

- ``meta``: what the page needs at once: keyframe times, counts of people, tracks, actions, notices.
- ``people-N``: keyframes ``64 N`` to ``64 N + 63``: tracks, boxes, scores, actions by descending score.
- ``truth-N``: the same for the ground truth.
- ``action-I``: all people with action I of ``meta``, in time order; for the list of occurrences and the timeline.

Shapes: K keyframes, P people (a person counts once per keyframe), C actions; T true people; p people and A shown
actions in one script.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ava_detect.results.people_table import PeopleTable
from ava_detect.structures.labels import LabelMap
from ava_detect.visualization.chips import short_name
from ava_detect.visualization.page.truth import Verdicts

KEYFRAMES_PER_PIECE = 64
_BOX_STEPS = 10_000
_SCORE_STEPS = 1_000
_SCORE_LEVELS = 20  # steps of the page's score slider
_INITIAL_SCORE = 0.3  # initial value of the slider, as in static/find.js
NOT_JUDGED, WRONG, RIGHT = -1, 0, 1

Piece = tuple[str, dict[str, Any]]


@dataclass(frozen=True, eq=False)
class VideoContent:
    """Data of one video for the page.

    Attributes:
        people: The people, with track ids.
        label_map: Names and kinds of the actions, in the order of the score columns.
        min_score: Least score of an action that the page shows, 0..1.
        truth: The true people, with track ids; None without ground truth.
        verdicts: The comparison of ``people`` with ``truth``; None without ground truth.
        cuts_seconds: Times of the video's hard cuts, seconds, rising.
    """

    people: PeopleTable
    label_map: LabelMap
    min_score: float
    truth: PeopleTable | None = None
    verdicts: Verdicts | None = None
    cuts_seconds: Sequence[float] = ()

    @property
    def shown(self) -> npt.NDArray[np.bool_]:
        """Mask ``[P, C]`` of the actions that the page shows; an action with score 0 is never shown."""
        return (self.people.action_scores >= self.min_score) & (self.people.action_scores > 0)

    def count_actions(self) -> list[tuple[str, int]]:
        """Count the actions at the initial position of the page's score slider.

        Returns:
            Short name and number of people for each action that occurs, the most frequent first.
        """
        counts = (self.people.action_scores >= max(self.min_score, _INITIAL_SCORE)).sum(axis=0)  # [C]
        order = np.argsort(-counts, kind="stable").tolist()
        actions = self.label_map.actions
        return [(short_name(actions[column].name), int(counts[column])) for column in order if counts[column]]


def script(key: str, value: dict[str, Any]) -> str:
    """Return a piece of data as the text of a script.

    Args:
        key: Key of the piece.
        value: Its value.

    Returns:
        JavaScript in ASCII, so that it does not depend on an encoding.
    """
    return f"AvaPage.register({json.dumps(key)}, {json.dumps(value, separators=(',', ':'))});\n"


def describe(content: VideoContent) -> dict[str, Any]:
    """Return the part of ``meta`` that depends on the people only.

    Args:
        content: Data of the video.

    Returns:
        The values by name.
    """
    described = {
        "times": np.round(content.people.timestamps_seconds, 3).tolist(),
        "counts": content.people.counts.tolist(),
        "spacing": round(content.people.spacing_seconds, 3),
        "cuts": list(content.cuts_seconds),
        "tracks": _tracks(content.people),
        "actions": _actions(content),
        "minScore": content.min_score,
        "hasPersonScores": content.people.person_scores is not None,
        "truth": None,
    }
    if content.truth is not None:
        times = np.round(content.truth.timestamps_seconds, 3).tolist()
        described["truth"] = {"times": times, "spacing": round(content.truth.spacing_seconds, 3)}
    return described


def pieces(content: VideoContent) -> Iterator[Piece]:
    """Build all scripts of the video except ``meta``.

    Args:
        content: Data of the video.

    Yields:
        Key (without the video's own) and value of each script.
    """
    yield from _action_pieces(content)
    verdicts = content.verdicts
    person_columns: dict[str, npt.NDArray[Any]] = {}
    marks = None
    if verdicts is not None:
        person_columns["found"] = np.where(verdicts.judged, verdicts.found, NOT_JUDGED)  # [P]
        marks = np.where(verdicts.judged[:, None], verdicts.right, NOT_JUDGED)  # [P, C]
    yield from _people_pieces("people", content.people, content.shown, person_columns, marks)
    if content.truth is not None and verdicts is not None:
        person_columns = {"found": (verdicts.partner >= 0).astype(np.int64)}  # [T]
        # For a true action the mark is the score that the matched person was given for it.
        marks = _thousandths(verdicts.partner_scores)  # [T, C]
        yield from _people_pieces("truth", content.truth, content.truth.action_scores > 0, person_columns, marks)


def _people_pieces(
    name: str,
    people: PeopleTable,
    shown: npt.NDArray[np.bool_],
    person_columns: dict[str, npt.NDArray[Any]],
    marks: npt.NDArray[Any] | None,
) -> Iterator[Piece]:
    """Pack keyframes, 64 to a script.

    ``shown``: bool ``[P, C]``. ``person_columns``: additional values ``[P]`` by name. ``marks``: ``[P, C]``, a number
    for each action.
    """
    assert people.track_ids is not None, "the page takes linked people"
    for number, first in enumerate(range(0, len(people.timestamps_seconds), KEYFRAMES_PER_PIECE)):
        last = min(first + KEYFRAMES_PER_PIECE, len(people.timestamps_seconds))
        rows = slice(people.offsets[first], people.offsets[last])  # p people
        # Per person the columns of the shown actions by descending score; hidden actions sort last.
        scores = np.where(shown[rows], people.action_scores[rows], -1)  # [p, C]
        order = np.argsort(-scores, axis=1, kind="stable")  # [p, C]
        num_actions = shown[rows].sum(axis=1)  # [p]
        # Flatten the first num_actions columns of each row; ``person`` is the row of each.
        is_shown = np.arange(order.shape[1]) < num_actions[:, None]  # [p, C]
        columns = order[is_shown]  # [A]
        person = np.repeat(np.arange(len(num_actions)), num_actions)  # [A]
        piece = {
            "counts": np.diff(people.offsets[first : last + 1]).tolist(),
            "track": people.track_ids[rows].tolist(),
            "box": np.rint(people.boxes_fraction[rows] * _BOX_STEPS).astype(int).ravel().tolist(),
            "actionCount": num_actions.tolist(),
            "action": columns.tolist(),
            "actionScore": _thousandths(people.action_scores[rows][person, columns]).tolist(),
            **{key: values[rows].tolist() for key, values in person_columns.items()},
        }
        if people.person_scores is not None:
            piece["score"] = _thousandths(people.person_scores[rows]).tolist()
        if marks is not None:
            piece["mark"] = marks[rows][person, columns].tolist()
        yield f"{name}-{number}", piece


def _action_pieces(content: VideoContent) -> Iterator[Piece]:
    """Pack each action's people; the keyframe of an entry is stored as the step from the entry before it."""
    people, verdicts, truth = content.people, content.verdicts, content.truth
    assert people.track_ids is not None, "the page takes linked people"
    shown, keyframe_of = content.shown, people.keyframe_of  # [P, C], [P]
    for column in range(len(content.label_map)):
        rows = np.flatnonzero(shown[:, column])  # [A], in time order
        piece: dict[str, Any] = {
            "step": np.diff(keyframe_of[rows], prepend=0).tolist(),
            "track": people.track_ids[rows].tolist(),
            "score": _thousandths(people.action_scores[rows, column]).tolist(),
        }
        if verdicts is not None and truth is not None and truth.track_ids is not None:
            piece["mark"] = np.where(verdicts.judged[rows], verdicts.right[rows, column], NOT_JUDGED).tolist()
            true_rows = np.flatnonzero(truth.action_scores[:, column] > 0)  # [A of the ground truth]
            partner = verdicts.partner[true_rows]
            # A true person that was found has the track id of the matched person, a missed one has 0. The
            # index -1 of missed people is read and discarded.
            tracks = np.where(partner >= 0, people.track_ids[partner] if len(people) else 0, 0)
            piece["truth"] = {
                "step": np.diff(truth.keyframe_of[true_rows], prepend=0).tolist(),
                "track": tracks.tolist(),
                "believed": _thousandths(verdicts.partner_scores[true_rows, column]).tolist(),
            }
        yield f"action-{column}", piece


def _tracks(people: PeopleTable) -> list[list[int]]:
    """Return id, first keyframe, last keyframe and number of keyframes of each track, by first keyframe."""
    assert people.track_ids is not None, "the page takes linked people"
    # ``first``: row of each track's first person, since rows are in time order. ``inverse`` [P]: track of each row.
    ids, first, inverse, counts = np.unique(
        people.track_ids, return_index=True, return_inverse=True, return_counts=True
    )
    keyframe_of = people.keyframe_of  # [P]
    last = np.zeros(len(ids), np.int64)
    np.maximum.at(last, inverse, keyframe_of)
    rows = np.column_stack([ids, keyframe_of[first], last, counts]) if len(ids) else np.zeros((0, 4), np.int64)
    # Sort by first keyframe, then by id.
    listed: list[list[int]] = rows[np.lexsort((rows[:, 0], rows[:, 1]))].tolist()
    return listed


def _actions(content: VideoContent) -> list[dict[str, Any]]:
    """Describe the actions; ``histogram[i]`` counts the people that the page shows with a score of at least i / 20."""
    levels = np.arange(_SCORE_LEVELS + 1) * (_SCORE_STEPS // _SCORE_LEVELS)  # [21], thousandths
    # Each column sorted: the number of scores from a level on is P minus the number below it.
    scores = np.sort(np.where(content.shown, _thousandths(content.people.action_scores), -1), axis=0)  # [P, C]
    return [
        {
            "id": action.id,
            "name": action.name,
            "short": short_name(action.name),
            "kind": str(action.kind),
            "histogram": (len(scores) - np.searchsorted(scores[:, column], levels)).tolist(),
        }
        for column, action in enumerate(content.label_map)
    ]


def _thousandths(scores: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    # In float64: float32 would round a second time, such as 18.5000002 to 18.5.
    thousandths: npt.NDArray[np.int64] = np.rint(scores.astype(np.float64) * _SCORE_STEPS).astype(np.int64)
    return thousandths
