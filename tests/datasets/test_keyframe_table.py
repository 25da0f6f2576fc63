from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_detect.datasets.keyframe_table import read_keyframe_table
from ava_detect.datasets.labelled_boxes import LabelledBoxes
from ava_detect.errors import FormatError

AVA_IDS = tuple(range(1, 81))

TRUTH = """video_a,0902,0.1,0.1,0.5,0.9,12,0
video_a,0902,0.1,0.1,0.5,0.9,80,0
video_a,0902,0.1,0.1,0.5,0.9,80,0
video_a,0902,0.6,0.2,0.9,0.8,11,1
video_a,0904,0.2,0.2,0.4,0.4,1,0
video_b,0902,0,0,1,1,14,3
video_b,0903
"""


def content(table):
    """{(video, second): [(box, ids), ...]} with AVA's ids."""
    found = {}
    for index in range(len(table)):
        boxes, labels = table.boxes_fraction(index), table.label_matrix(index)
        people = [
            (tuple(np.round(box.tolist(), 6)), (np.flatnonzero(row) + 1).tolist())
            for box, row in zip(boxes, labels, strict=True)
        ]
        found[table.video_ids[int(table.video[index])], float(table.seconds[index])] = people
    return found


def test_rows_of_one_box_are_one_person(write):
    table = read_keyframe_table(write(TRUTH, "gt.csv"), action_ids=AVA_IDS)
    assert content(table) == {
        ("video_a", 902.0): [((0.1, 0.1, 0.5, 0.9), [12, 80]), ((0.6, 0.2, 0.9, 0.8), [11])],
        ("video_a", 904.0): [((0.2, 0.2, 0.4, 0.4), [1])],
        ("video_b", 902.0): [((0, 0, 1, 1), [14])],
    }
    assert table.label_matrix(0).dtype == np.float32 and table.label_matrix(0).shape == (2, 80)


def test_a_test_has_every_keyframe_that_is_named(write):
    table = read_keyframe_table(write(TRUTH, "gt.csv"), action_ids=AVA_IDS, training=False)
    assert content(table)["video_b", 903.0] == []
    assert len(table) == 4


def test_excluded_keyframes_are_dropped_on_both_sides(write):
    proposals = write("video_a,902,0.1,0.1,0.5,0.9,,0.95\nvideo_b,902,0,0,0.5,0.5,,0.95\n", "boxes.csv")
    table = read_keyframe_table(
        write(TRUTH, "gt.csv"), action_ids=AVA_IDS, proposals=proposals, exclude=write("video_a,902\n", "ex.csv")
    )
    assert list(content(table)) == [("video_a", 904.0), ("video_b", 902.0)]


def test_the_rule_of_nine_tenths_by_hand(write):
    """The true box is 0.4 x 0.8. Cut from 0.8 to 0.72 high, IoU is 0.9; to 0.71, 0.8875."""
    proposals = """video_a,0902,0.1,0.1,0.5,0.82,,0.9
video_a,0902,0.1,0.1,0.5,0.81,,0.9
video_a,0902,0.1,0.1,0.5,0.89,,0.79
video_a,0902,0.6,0.2,0.9,0.79,,0.8
video_a,0902,0.6,0.2,0.9,0.79,,0.85
video_c,0902,0.6,0.2,0.9,0.79,,0.85
video_a,0903,0.6,0.2,0.9,0.79,,0.85
video_b,0903,0.6,0.2,0.9,0.79,,0.85
"""
    found = content(
        read_keyframe_table(
            write(TRUTH, "gt.csv"),
            action_ids=AVA_IDS,
            proposals=write(proposals, "boxes.csv"),
            min_proposal_score=0.8,
            match_iou=0.9 - 1e-9,  # 0.72 / 0.8 in floating point is not exactly 0.9
        )
    )
    assert found["video_a", 902.0] == [
        ((0.1, 0.1, 0.5, 0.9), [12, 80]),
        ((0.6, 0.2, 0.9, 0.8), [11]),
        ((0.1, 0.1, 0.5, 0.81), []),
        ((0.1, 0.1, 0.5, 0.82), [12, 80]),
        ((0.6, 0.2, 0.9, 0.79), [11]),
    ]
    # A keyframe without annotated people teaches nothing; one without proposals keeps its true people.
    assert set(found) == {("video_a", 902.0), ("video_a", 904.0), ("video_b", 902.0)}


def test_a_proposal_that_equals_a_true_box_is_that_person(write):
    # Of the last two, one has other decimals that are the same float32, the other one is another box.
    proposals = """video_a,0902,0.1,0.1,0.5,0.9,,0.95
video_a,0902,0.60000000001,0.2,0.9,0.8,,0.95
video_a,0902,0.100001,0.1,0.5,0.9,,0.95
video_a,0904,0.1,0.1,0.5,0.9,,0.95
video_a,0904,0.10000000001,0.1,0.5,0.9,,0.9
video_b,0902,-0.1,0,1,1.2,,1
"""
    found = content(
        read_keyframe_table(write(TRUTH, "gt.csv"), action_ids=AVA_IDS, proposals=write(proposals, "boxes.csv"))
    )
    assert found == {
        ("video_a", 902.0): [
            ((0.1, 0.1, 0.5, 0.9), [12, 80]),
            ((0.6, 0.2, 0.9, 0.8), [11]),
            ((0.100001, 0.1, 0.5, 0.9), [12, 80]),
        ],
        ("video_a", 904.0): [((0.2, 0.2, 0.4, 0.4), [1]), ((0.1, 0.1, 0.5, 0.9), [])],
        ("video_b", 902.0): [((0, 0, 1, 1), [14])],
    }


def test_a_test_with_proposals_has_these_alone(write):
    proposals = "video_a,902,0.6,0.2,0.9,0.8,,0.95\nvideo_a,902,0,0,0.2,0.2,,\nvideo_b,903,0,0,1,1,,0.85\n".replace(
        "0.2,,\n", "0.2,\n"
    )
    table = read_keyframe_table(
        write(TRUTH, "gt.csv"), action_ids=AVA_IDS, proposals=write(proposals, "boxes.csv"), training=False
    )
    assert content(table) == {
        ("video_a", 902.0): [((0, 0, 0.2, 0.2), []), ((0.6, 0.2, 0.9, 0.8), [11])],
        ("video_a", 904.0): [],
        ("video_b", 902.0): [],
        ("video_b", 903.0): [((0, 0, 1, 1), [])],
    }


def test_people_of_a_test_have_the_scores_of_the_proposals(write):
    # One box twice counts once, with its better score; one without a score counts 1; one below the least is left out.
    proposals = """video_a,902,0.6,0.2,0.9,0.8,,0.85
video_a,902,0.6,0.2,0.9,0.8,,0.95
video_a,902,0.1,0.2,0.3,0.8,,0.9
video_a,902,0.7,0.2,0.9,0.8,,0.5
video_b,902,0,0,1,1,,0.8
"""
    truth = write(TRUTH, "gt.csv")
    table = read_keyframe_table(
        truth, action_ids=AVA_IDS, proposals=write(proposals, "boxes.csv"), min_proposal_score=0.8, training=False
    )
    scores = {key: table.person_scores(index).tolist() for index, key in enumerate(content(table))}
    expected = {key: [] for key in scores}
    expected[("video_a", 902.0)] = [np.float32(0.9), np.float32(0.95)]
    expected[("video_b", 902.0)] = [np.float32(0.8)]
    assert scores == expected
    assert content(table)[("video_a", 902.0)] == [((0.1, 0.2, 0.3, 0.8), []), ((0.6, 0.2, 0.9, 0.8), [11])]
    unscored = read_keyframe_table(
        truth, action_ids=AVA_IDS, proposals=write("video_a,902,0,0,0.2,0.2\n", "bare.csv"), training=False
    )
    true_boxes = read_keyframe_table(truth, action_ids=AVA_IDS, training=False)
    trained = read_keyframe_table(truth, action_ids=AVA_IDS, proposals=write(proposals, "boxes.csv"))
    for other in (unscored, true_boxes):
        assert {score for index in range(len(other)) for score in other.person_scores(index).tolist()} == {1.0}
    # In training the true boxes come first.
    assert trained.person_scores(0).tolist() == [1, 1, np.float32(0.9)]


def test_proposals_as_coco_json(write):
    coco = write(
        '{"images": [{"id": 1, "width": 100, "height": 200, "video_id": "video_b", "timestamp": 902}],'
        ' "annotations": [{"image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 40], "score": 0.9}]}',
        "boxes.json",
    )
    table = read_keyframe_table(write(TRUTH, "gt.csv"), action_ids=AVA_IDS, proposals=coco, training=False)
    assert content(table)["video_b", 902.0] == [((0.1, 0.1, 0.4, 0.3), [])]


def test_a_subset_keeps_the_boxes_and_counts_what_it_drops(write):
    table = read_keyframe_table(write(TRUTH, "gt.csv"), action_ids=(80, 11))
    np.testing.assert_array_equal(table.label_matrix(0), [[1, 0], [0, 1]])
    np.testing.assert_array_equal(table.label_matrix(1), [[0, 0]])
    assert table.unknown_labels == {1: 1, 12: 1, 14: 1}


def test_a_label_map_that_does_not_belong(write):
    with pytest.raises(FormatError, match=r"gt.csv: none of its action ids \(1, 11, 12, 14, 80\) is in the label map"):
        read_keyframe_table(write(TRUTH, "gt.csv"), action_ids=(2, 3))


def test_nothing_left(write):
    with pytest.raises(FormatError, match="no keyframe with people is left"):
        read_keyframe_table(write("video_a,902\n", "gt.csv"), action_ids=AVA_IDS)


@pytest.mark.parametrize("which", ["truth", "proposals"])
def test_pixels_are_refused(write, which):
    pixels = write("video_a,0902,10,20,30,40,12\n", "pixels.csv")
    files = (
        {"annotations": pixels} if which == "truth" else {"annotations": write(TRUTH, "gt.csv"), "proposals": pixels}
    )
    with pytest.raises(
        FormatError, match=r"pixels.csv, line 1: boxes are fractions .* \[10.0, 20.0, 30.0, 40.0\] in video_a at"
    ):
        read_keyframe_table(**files, action_ids=AVA_IDS)


def test_ground_truth_is_no_file_of_proposals(write):
    truth = write(TRUTH, "gt.csv")
    with pytest.raises(
        FormatError, match=r"gt\.csv, line 6: scores lie in 0\.\.1, got 3 in video_b at 902 s; a ground-truth file"
    ):
        read_keyframe_table(truth, action_ids=AVA_IDS, proposals=truth)


def test_boxes_are_cut_at_the_frame_and_those_outside_are_dropped(write):
    text = "v,1,-0.1,0.5,0.5,1.2,12,0\nv,1,1.1,0,1.2,1,12,1\nv,1,0.5,0.5,0.5,0.9,12,2\n"
    table = read_keyframe_table(write(text, "gt.csv"), action_ids=AVA_IDS)
    assert content(table) == {("v", 1.0): [((0, 0.5, 0.5, 1), [12])]}


rows = st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2), st.integers(-1, 3))


@given(st.lists(rows, max_size=30), st.lists(rows, max_size=30))
def test_grouping_and_matching_as_written_out_in_a_loop(truth_rows, found_rows):
    def people(rows):
        keys, x, y, columns = np.array(rows, np.int64).reshape(-1, 4).T
        boxes = np.stack([x * 0.1, y * 0.1, x * 0.1 + 0.5, y * 0.1 + 0.5], axis=1)
        return LabelledBoxes.of_rows(keys, boxes, columns.astype(np.int16))

    def by_hand(rows):
        groups = {}
        for key, x, y, column in rows:
            groups.setdefault((key, x, y), set()).update({column} - {-1})
        return groups

    def labels(people):
        ends = np.cumsum(people.num_labels)
        parts = [set(part.tolist()) for part in np.split(people.columns, ends)[:-1]]
        corners = np.rint(people.boxes_fraction[:, :2] * 10).astype(int).tolist()
        return [((key, *corner), part) for key, corner, part in zip(people.keys.tolist(), corners, parts, strict=True)]

    truth, found = people(truth_rows), people([(*row[:3], -1) for row in found_rows])
    assert dict(labels(truth)) == by_hand(truth_rows)
    # Shifted by one step, boxes overlap by 0.4 / 0.6; by one both ways, by 0.16 / 0.34.
    matched = found.labelled_by(truth, 0.99)
    expected = {place: by_hand(truth_rows).get(place, set()) for place in by_hand(found_rows)}
    assert dict(labels(matched)) == expected
    both = LabelledBoxes.joined(truth, matched)
    assert both.keys.tolist() == sorted(both.keys.tolist())
    new = [person for person in labels(matched) if person[0] not in dict(labels(truth))]
    assert sorted(map(str, labels(both))) == sorted(map(str, labels(truth) + new))
