"""Tracks of boxes that are set on some frames: where a person is visible, against the definition frame by frame."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_detect.results.importing.labels import Box
from ava_detect.results.importing.tracks import Step, boxes_on, labelled_frames

corners = st.tuples(*[st.floats(0, 1)] * 4)
steps = st.builds(Step, st.integers(0, 30), corners, st.booleans(), st.booleans())
tracks = st.lists(steps, min_size=1, max_size=6, unique_by=lambda step: step.frame).map(
    lambda found: sorted(found, key=lambda step: step.frame)
)


def box_at(track: list[Step], frame: int) -> Box | None:
    """The definition: the box that was set on the frame, else the one on the way from the last step to the next."""
    before = [step for step in track if step.frame <= frame]
    if not before:
        return None
    last = before[-1]
    if last.frame == frame:
        return last.box if last.is_visible else None
    if not last.stays:
        return None
    after = [step for step in track if step.frame > frame]
    if not after:
        return last.box
    share = (frame - last.frame) / (after[0].frame - last.frame)
    x1, y1, x2, y2 = (a * (1 - share) + b * share for a, b in zip(last.box, after[0].box, strict=True))
    return x1, y1, x2, y2


@given(tracks, st.sets(st.integers(0, 35)).map(sorted))
def test_boxes_are_those_of_the_definition(track: list[Step], frames: list[int]) -> None:
    found = {frame: box for frame, box, _ in boxes_on(track, frames)}
    expected = {frame: box for frame in frames if (box := box_at(track, frame)) is not None}
    assert list(found) == list(expected)
    for frame, box in expected.items():
        assert found[int(frame)] == pytest.approx(box)


def test_frames_are_labelled_where_any_box_was_set() -> None:
    """A track that ends on frame 6 by a person's hand labels it; where a program may have put the end, it does not."""
    box = (0.0, 0.0, 1.0, 1.0)
    moving = [Step(1, box, stays=True, is_visible=True), Step(6, box, stays=False, is_visible=True)]
    other = [Step(4, box, stays=True, is_visible=True)]
    assert labelled_frames([moving, other], with_ends=True) == {1, 4, 6}
    assert labelled_frames([moving, other], with_ends=False) == {1, 4}
