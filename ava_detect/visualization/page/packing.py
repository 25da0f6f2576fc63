"""One video's people as the small scripts that the page loads piece by piece.

Each script calls ``AvaPage.register(key, value)``. Numbers are whole: boxes in ten-thousandths of the frame, scores in
thousandths. Keys, below the video's own (``0001``):

- ``meta``: everything that the page needs at once: times, counts, tracks, actions, notices.
- ``people-N``: keyframes ``64 N`` to ``64 N + 63``: tracks, boxes, scores, actions by falling score.
- ``truth-N``: the same of the ground truth.
- ``action-I``: where action I of ``meta`` is believed of whom, in time order; what a search lists and a lane draws.
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
_SCORE_LEVELS = 20  # the stops of the page's slider
_LISTED_SCORE = 0.3  # at which the slider stands first
NOT_JUDGED, WRONG, RIGHT = -1, 0, 1

Piece = tuple[str, dict[str, Any]]


@dataclass(frozen=True, eq=False)
class VideoContent:
    """What is known of one video: linked people, and linked ground truth with the verdicts where there is any.

    ``min_score``: actions below it are left off the page. ``cuts_seconds``: the video's hard cuts, rising.
    """

    people: PeopleTable
    label_map: LabelMap
    min_score: float
    truth: PeopleTable | None = None
    verdicts: Verdicts | None = None
    cuts_seconds: Sequence[float] = ()

    @property
    def shown(self) -> npt.NDArray[np.bool_]:
        """Bool ``[P, C]``: the actions that are on the page; an action without any belief never is."""
        return (self.people.action_scores >= self.min_score) & (self.people.action_scores > 0)

    def count_actions(self) -> list[tuple[str, int]]:
        """The actions that the page shows at first, by falling number of people-keyframes."""
        counts = (self.people.action_scores >= max(self.min_score, _LISTED_SCORE)).sum(axis=0)
        order = np.argsort(-counts, kind="stable").tolist()
        actions = self.label_map.actions
        return [(short_name(actions[column].name), int(counts[column])) for column in order if counts[column]]


def script(key: str, value: dict[str, Any]) -> str:
    """A piece as a script; plain ASCII, so that no encoding can be mistaken."""
    return f"AvaPage.register({json.dumps(key)}, {json.dumps(value, separators=(',', ':'))});\n"


def describe(content: VideoContent) -> dict[str, Any]:
    """The part of ``meta`` that the people decide."""
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
    """All other scripts of the video, as keys below its own, and values."""
    yield from _action_pieces(content)
    verdicts = content.verdicts
    extra: dict[str, npt.NDArray[Any]] = {}
    marks = None
    if verdicts is not None:
        extra["found"] = np.where(verdicts.judged, verdicts.found, NOT_JUDGED)
        marks = np.where(verdicts.judged[:, None], verdicts.right, NOT_JUDGED)
    yield from _people_pieces("people", content.people, content.shown, extra, marks)
    if content.truth is not None and verdicts is not None:
        extra = {"found": (verdicts.partner >= 0).astype(np.int64)}
        believed = _thousandths(verdicts.partner_scores)
        yield from _people_pieces("truth", content.truth, content.truth.action_scores > 0, extra, believed)


def _people_pieces(
    name: str,
    people: PeopleTable,
    shown: npt.NDArray[np.bool_],
    extra: dict[str, npt.NDArray[Any]],
    marks: npt.NDArray[Any] | None,
) -> Iterator[Piece]:
    """Keyframes in pieces. ``extra``: more columns ``[P]``; ``marks``: ``[P, C]``, a number beside each action."""
    assert people.track_ids is not None, "the page takes linked people"
    for number, first in enumerate(range(0, len(people.timestamps_seconds), KEYFRAMES_PER_PIECE)):
        last = min(first + KEYFRAMES_PER_PIECE, len(people.timestamps_seconds))
        rows = slice(people.offsets[first], people.offsets[last])
        scores = np.where(shown[rows], people.action_scores[rows], -1)
        order = np.argsort(-scores, axis=1, kind="stable")
        num_actions = shown[rows].sum(axis=1)
        is_shown = np.arange(order.shape[1]) < num_actions[:, None]
        columns = order[is_shown]
        person = np.repeat(np.arange(len(num_actions)), num_actions)
        piece = {
            "counts": np.diff(people.offsets[first : last + 1]).tolist(),
            "track": people.track_ids[rows].tolist(),
            "box": np.rint(people.boxes_fraction[rows] * _BOX_STEPS).astype(int).ravel().tolist(),
            "actionCount": num_actions.tolist(),
            "action": columns.tolist(),
            "actionScore": _thousandths(people.action_scores[rows][person, columns]).tolist(),
            **{key: values[rows].tolist() for key, values in extra.items()},
        }
        if people.person_scores is not None:
            piece["score"] = _thousandths(people.person_scores[rows]).tolist()
        if marks is not None:
            piece["mark"] = marks[rows][person, columns].tolist()
        yield f"{name}-{number}", piece


def _action_pieces(content: VideoContent) -> Iterator[Piece]:
    people, verdicts, truth = content.people, content.verdicts, content.truth
    assert people.track_ids is not None, "the page takes linked people"
    shown, keyframes = content.shown, people.keyframe_of
    for column in range(len(content.label_map)):
        rows = np.flatnonzero(shown[:, column])
        piece: dict[str, Any] = {
            "step": np.diff(keyframes[rows], prepend=0).tolist(),
            "track": people.track_ids[rows].tolist(),
            "score": _thousandths(people.action_scores[rows, column]).tolist(),
        }
        if verdicts is not None and truth is not None and truth.track_ids is not None:
            piece["mark"] = np.where(verdicts.judged[rows], verdicts.right[rows, column], NOT_JUDGED).tolist()
            true_rows = np.flatnonzero(truth.action_scores[:, column] > 0)
            partner = verdicts.partner[true_rows]
            # Somebody found keeps the number by which the page knows them.
            tracks = np.where(partner >= 0, people.track_ids[partner] if len(people) else 0, 0)
            piece["truth"] = {
                "step": np.diff(truth.keyframe_of[true_rows], prepend=0).tolist(),
                "track": tracks.tolist(),
                "believed": _thousandths(verdicts.partner_scores[true_rows, column]).tolist(),
            }
        yield f"action-{column}", piece


def _tracks(people: PeopleTable) -> list[list[int]]:
    """For each track its id, the first and the last keyframe with it, and on how many it is; by first keyframe."""
    assert people.track_ids is not None, "the page takes linked people"
    ids, first, inverse, counts = np.unique(
        people.track_ids, return_index=True, return_inverse=True, return_counts=True
    )
    keyframes = people.keyframe_of
    last = np.zeros(len(ids), np.int64)
    np.maximum.at(last, inverse, keyframes)
    rows = np.column_stack([ids, keyframes[first], last, counts]) if len(ids) else np.zeros((0, 4), np.int64)
    listed: list[list[int]] = rows[np.lexsort((rows[:, 0], rows[:, 1]))].tolist()
    return listed


def _actions(content: VideoContent) -> list[dict[str, Any]]:
    """The label map's actions; ``histogram[i]``: how often one is on the page with a score of at least ``i / 20``."""
    levels = np.arange(_SCORE_LEVELS + 1) * (_SCORE_STEPS // _SCORE_LEVELS)
    scores = np.sort(np.where(content.shown, _thousandths(content.people.action_scores), -1), axis=0)
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
    thousandths: npt.NDArray[np.int64] = np.rint(scores * _SCORE_STEPS).astype(np.int64)
    return thousandths
