"""Ground truth from corrections, and the part that is held out."""

from __future__ import annotations

import numpy as np
import pytest
from corrections import People, Step, accepted, write_corrections
from hypothesis import given
from hypothesis import strategies as st

from ava_detect.errors import ConfigError
from ava_detect.formats.annotation_files import read_ground_truth
from ava_detect.formats.ava_csv import write_ava_table
from ava_detect.formats.ava_table import AvaTable
from ava_detect.results.corrections.truth import hold_out, read_reviewed
from ava_detect.results.importing.import_labels import import_labels
from ava_detect.structures.labels import NO_ACTION, Action, LabelMap

BOX, SHIFTED, OTHER = (0.1, 0.2, 0.3, 0.4), (0.1, 0.2, 0.3, 0.45), (0.5, 0.5, 0.75, 1.0)
FOUND: dict[str, dict[float, People]] = {
    "v": {
        0.0: {1: (BOX, (12,)), 2: (OTHER, ())},
        1.0: {1: (BOX, (12, 80))},
        2.0: {1: (BOX, (12,)), 3: (SHIFTED, (12,))},
        3.0: {1: (BOX, (12,))},
        4.0: {1: (BOX, (12,))},
    },
    "a": {0.5: {}},
}
STEPS: dict[str, list[Step]] = {
    "v": [
        (0.0, "actions", {"person": 1, "ids": [14, 12]}),
        (0.0, "accept"),
        (1.0, "delete", {"person": 1}),
        (1.0, "accept"),
        (2.0, "delete", {"person": 3}),
        (2.0, "accept"),
        (3.0, "move", {"person": 1, "box": list(OTHER)}),
        (4.0, "accept"),
        (4.0, "unaccept"),
    ],
    "a": [(0.5, "accept")],
}


def rows(table: AvaTable) -> list[tuple[str, float, tuple[float, ...] | None, int, int]]:
    """The rows of a table as plain values; no box where a row only lists its keyframe."""
    return [
        (
            table.video_ids[table.video_index[row]],
            float(table.timestamps_seconds[row]),
            None if np.isnan(table.boxes_fraction[row]).any() else tuple(table.boxes_fraction[row].tolist()),
            int(table.action_ids[row]),
            int(table.person_ids[row]),
        )
        for row in range(len(table))
    ]


EXPECTED = [
    ("a", 0.5, None, NO_ACTION, -1),
    ("v", 0.0, BOX, 12, 1),
    ("v", 0.0, BOX, 14, 1),
    ("v", 0.0, OTHER, NO_ACTION, 2),
    ("v", 1.0, None, NO_ACTION, -1),
    ("v", 2.0, BOX, 12, 1),
]


def test_accepted_keyframes_are_complete_and_others_say_nothing(tmp_path):
    truth = read_reviewed(write_corrections(tmp_path / "c", LabelMap.ava(), FOUND, STEPS))
    assert rows(truth.rows) == EXPECTED
    assert truth.keyframes == (("a", 0.5), ("v", 0.0), ("v", 1.0), ("v", 2.0))
    # Second 3 was changed and not accepted, and second 4 was accepted and is no more.
    assert truth.num_unaccepted == 2
    assert truth.label_map == LabelMap.ava()


def test_a_deleted_box_shows_nobody_unless_it_was_somebody_twice(tmp_path):
    truth = read_reviewed(write_corrections(tmp_path / "c", LabelMap.ava(), FOUND, STEPS))
    # The one deleted at second 2 overlaps person 1 by 0.8.
    assert rows(truth.rejected) == [("v", 1.0, BOX, NO_ACTION, -1)]


def test_the_rows_are_read_back_from_a_csv(tmp_path):
    truth = read_reviewed(write_corrections(tmp_path / "c", LabelMap.ava(), FOUND, STEPS))
    write_ava_table(tmp_path / "truth.csv", truth.rows)
    assert rows(read_ground_truth(tmp_path / "truth.csv", actions_required=True)) == EXPECTED


def test_import_writes_the_same_rows_and_the_label_map(tmp_path, run_cli):
    folder = write_corrections(tmp_path / "c", LabelMap.ava().subset([12, 14, 80]), FOUND, STEPS)
    code, said, left_out = run_cli("import", folder, "--out", tmp_path / "truth.csv", "--start-seconds", 900)
    assert code == 0
    assert "corrections: 6 rows of 3 boxes on 4 keyframes of 2 videos" in said
    assert "left out: 2 keyframes that were changed but not accepted" in left_out
    imported = rows(read_ground_truth(tmp_path / "truth.csv"))
    assert sorted(imported) == sorted((name, seconds + 900, *rest) for name, seconds, *rest in EXPECTED)
    assert LabelMap.from_pbtxt(tmp_path / "label_map.pbtxt").ids == (12, 14, 80)


def test_ids_of_videos_and_actions_stay_what_they_are(tmp_path):
    names = LabelMap((Action(3, "walk"), Action(5, "walk"), Action(7, "")))
    found: dict[str, dict[float, People]] = {
        "movie.avi": {1.0: {1: (BOX, (3, 7))}},
        "movie.mp4": {1.0: {1: (BOX, (5,))}},
    }
    folder = write_corrections(tmp_path / "c", names, found, accepted(found))
    import_labels(folder, tmp_path / "truth.csv")
    table = read_ground_truth(tmp_path / "truth.csv")
    assert [(row[0], row[3]) for row in rows(table)] == [("movie.avi", 3), ("movie.avi", 7), ("movie.mp4", 5)]
    assert LabelMap.from_pbtxt(tmp_path / "label_map.pbtxt").name(5) == "walk (5)"


def test_tracks_that_are_no_person_ids_are_left_out(tmp_path):
    found: dict[str, dict[float, People]] = {"v": {0.0: {-7: (BOX, (12,))}}}
    truth = read_reviewed(write_corrections(tmp_path / "c", LabelMap.ava(), found, {"v": [(0.0, "accept")]}))
    assert rows(truth.rows) == [("v", 0.0, BOX, 12, -1)]


def test_whole_videos_are_held_out():
    # SHA-256 of "b" begins with 3e, of "a" with ca, of "c" with 2e: 0.24, 0.79 and 0.18 of 1.
    keyframes = [(video_id, float(second)) for video_id in "abc" for second in range(4)]
    assert hold_out(keyframes, 0.2).videos == {"c"}
    assert hold_out(keyframes, 0.3).videos == {"b", "c"}
    assert hold_out(keyframes, 0.1).videos == {"c"}, "one at least"
    assert hold_out(keyframes, 0.9).videos == {"b", "c"}, "one is left to train on"
    assert hold_out(keyframes, 0.0).videos == set()


def test_of_one_video_the_end_is_held_out_behind_a_gap():
    split = hold_out([("v", float(second)) for second in range(10)], 0.2, gap_seconds=1.5)
    parts = [split.part_of("v", float(second)) for second in range(10)]
    assert parts == ["train"] * 7 + ["between"] + ["held_out"] * 2
    assert split.part_of("w", 9.0) == "train"


@pytest.mark.parametrize(("times", "gap"), [([3.0], 0.0), ([3.0, 4.0], 2.0)])
def test_too_few_keyframes_to_divide_are_named(times, gap):
    with pytest.raises(ConfigError, match=r"reviewed keyframes? of one video cannot be divided.*`held_out` 0"):
        hold_out([("v", second) for second in times], 0.2, gap_seconds=gap)


names = st.text(min_size=1, max_size=5)


@given(st.sets(names, min_size=2, max_size=8), st.floats(0.01, 0.9), names)
def test_a_video_that_was_trained_on_is_not_held_out_when_another_comes(videos, share, another):
    before, after = (hold_out([(name, 0.0) for name in some], share) for some in (videos, videos | {another}))
    trained = [name for name in videos if before.part_of(name, 0.0) == "train"]
    assert 0 < len(trained) < len({*videos}) or len(before.videos) == 0
    if len(trained) > 1:  # of one, it may be the one that is never held out
        assert all(after.part_of(name, 0.0) == "train" for name in trained)
