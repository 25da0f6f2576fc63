from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from annotate_inputs import BOX, write_boxes
from hypothesis import given
from hypothesis import strategies as st
from tolerances import FLOAT32

from ava_detect.detectors.base import PersonDetector
from ava_detect.detectors.precomputed import PrecomputedBoxes
from ava_detect.errors import AvaDetectError, DetectorError, FormatError
from ava_detect.structures import Frame


def frame(seconds: float, video_id: str = "video_a", width: int = 200, height: int = 100) -> Frame:
    return Frame(np.zeros((height, width, 3), np.uint8), seconds, video_id)


PROPOSALS = """video_a,0902,0.5,0,1,1,,0.7
video_a,0902,0.1,0.2,0.3,0.4,12,0.95
video_a,0902,0.1,0.2,0.3,0.4,80,0.95
video_a,0903,0,0,1,1,,0.3
video_a,0904
video_b,0902,0,0,0.5,0.5,,0.8
"""


def test_several_labels_of_one_box_are_one_person(write):
    detector = PrecomputedBoxes(write(PROPOSALS), start_seconds=900)
    assert isinstance(detector, PersonDetector)
    assert not detector.needs_images
    assert detector.name == "boxes:input"
    people = detector([frame(2.0)])[0]
    np.testing.assert_allclose(people.boxes_xyxy, [[20, 20, 60, 40], [100, 0, 200, 100]], rtol=FLOAT32)
    np.testing.assert_allclose(people.scores, [0.95, 0.7])


def test_boxes_are_scaled_to_each_frame(write):
    small, large = PrecomputedBoxes(write(PROPOSALS))([frame(902, "video_b"), frame(902, "video_b", 400, 300)])
    assert small.boxes_xyxy.tolist() == [[0, 0, 100, 50]]
    assert large.boxes_xyxy.tolist() == [[0, 0, 200, 150]]


@pytest.mark.parametrize(
    ("seconds", "count"), [(2.0, 2), (2.01, 2), (1.99, 2), (2.012, 0), (1.5, 0), (3.0, 1), (4.0, 0), (77.0, 0)]
)
def test_a_time_matches_within_a_hundredth(write, seconds, count):
    assert len(PrecomputedBoxes(write(PROPOSALS), start_seconds=900)([frame(seconds)])[0]) == count


def test_min_score_leaves_people_out_and_none_keeps_all(write):
    path = write(PROPOSALS)
    assert len(PrecomputedBoxes(path, min_score=0.8)([frame(902)])[0]) == 1
    assert len(PrecomputedBoxes(path, min_score=0.8)([frame(903)])[0]) == 0
    assert len(PrecomputedBoxes(path)([frame(903)])[0]) == 1


def test_a_person_without_a_score_gets_one(write):
    path = write("video_a,1,0,0,1,1,3\n")
    assert PrecomputedBoxes(path)([frame(1)])[0].scores.tolist() == [1.0]


def test_ground_truth_keeps_people_with_person_ids(write):
    path = write("video_a,1,0,0,0.5,1,3,117\nvideo_a,1,0,0,0.5,1,80,117\nvideo_a,1,0.5,0,1,1,3,0\n")
    people = PrecomputedBoxes(path, last_column="person_id")([frame(1)])[0]
    assert people.scores.tolist() == [1.0, 1.0]
    with pytest.raises(
        DetectorError, match=r"scores lie in 0\.\.1, got 117 in video_a at 1 s; .* say last_column=person_id"
    ):
        PrecomputedBoxes(path)


def test_a_video_of_empty_keyframes_is_known(write):
    assert len(PrecomputedBoxes(write("video_a,1\n"))([frame(1)])[0]) == 0


def test_boxes_end_at_the_frame(write):
    path = write("video_a,1,-0.01,0,1.02,1,,0.5\n")
    assert PrecomputedBoxes(path)([frame(1)])[0].boxes_xyxy.tolist() == [[0, 0, 200, 100]]


@pytest.mark.parametrize("box", ["10,20,100,200", "0,0,nan,1"])
def test_pixels_are_refused(write, box):
    with pytest.raises(DetectorError, match=r"boxes are fractions of the frame, 0\.\.1, got .* in video_a at 7 s"):
        PrecomputedBoxes(write(f"video_a,0007,{box},,0.5\n"))


def test_six_columns_are_a_box_without_action_and_score(write):
    people = PrecomputedBoxes(write("video_a,1,0.1,0.2,0.3,0.9\n"))([frame(1)])[0]
    np.testing.assert_allclose(people.boxes_xyxy, [[20, 20, 60, 90]], rtol=FLOAT32)
    assert people.scores.tolist() == [1.0]


REFUSED = {
    "reversed": (
        "video_a,1,0.5,0,0.4,1,,0.5",
        "line 2: boxes are x1,y1,x2,y2 with x1 <= x2 and y1 <= y2, got [0.5, 0.0",
    ),
    "upside_down": ("video_a,1,0,0.9,0.4,0.1,,0.5", "line 2: boxes are x1,y1,x2,y2 with x1 <= x2 and y1 <= y2, got"),
    "infinite_score": ("video_a,1,0,0,1,1,,inf", "line 2: scores lie in 0..1, got inf in video_a at 1 s; if column 8"),
    "negative_score": ("video_a,1,0,0,1,1,,-1", "line 2: scores lie in 0..1, got -1 in video_a at 1 s; if column 8"),
    "person_ids": (
        "video_a,1,0,0,1,1,,0",
        "line 2: the score is 0 in video_a at 1 s; all scores of the file are 0 or 1",
    ),
    "infinite_box": ("video_a,1,0,0,inf,1,,0.5", "line 2: boxes are fractions of the frame, 0..1, got"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_boxes_that_mean_something_else_are_refused_with_file_and_line(write, case):
    row, text = REFUSED[case]
    with pytest.raises(DetectorError) as error:
        PrecomputedBoxes(write(f"video_a,1,0,0,1,1,,1\n{row}\n"))
    assert f"input, {text}" in str(error.value)


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("video_a.mp4", "no row is of the video 'video_a.mp4'; did you mean 'video_a'? it has video_a, video_b"),
        ("something", "no row is of the video 'something'; it has video_a, video_b"),
    ],
)
def test_an_unknown_video_is_an_error(write, asked, text):
    with pytest.raises(DetectorError) as error:
        PrecomputedBoxes(write(PROPOSALS))([frame(902, asked)])
    assert str(error.value).endswith(f"input: {text}")


def test_an_unknown_video_names_a_few_of_many(write):
    path = write("".join(f"film{index},1\n" for index in range(9)))
    with pytest.raises(DetectorError, match=r"it has film0, film1, film2 and 6 more$"):
        PrecomputedBoxes(path)([frame(1, "zzz")])


def test_plain_arrays_have_no_video(write):
    with pytest.raises(DetectorError, match="boxes are found by video and time; give Frame values, not plain arrays"):
        PrecomputedBoxes(write(PROPOSALS))([np.zeros((4, 4, 3), np.uint8)])


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FormatError, match=r"nothing\.csv"):
        PrecomputedBoxes(tmp_path / "nothing.csv")


def test_coco_results_with_the_images_beside_them(write):
    images = write(
        json.dumps({"images": [{"id": 7, "width": 100, "height": 50, "file_name": "video_a_0902.jpg"}]}), "i.json"
    )
    results = write(json.dumps([{"image_id": 7, "category_id": 1, "bbox": [10, 5, 20, 10], "score": 0.6}]), "r.json")
    people = PrecomputedBoxes(results, images=images)([frame(902)])[0]
    np.testing.assert_allclose(people.boxes_xyxy, [[20, 10, 60, 30]], rtol=FLOAT32)
    np.testing.assert_allclose(people.scores, [0.6])


people_of_a_video = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(1, 3), st.floats(0, 1, exclude_min=True, width=32)),
    max_size=30,
)


@given(people_of_a_video)
def test_every_distinct_box_comes_back_once_with_its_best_score(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("boxes") / "boxes.csv"
    path.write_text("v,99\n" + "".join(f"v,{t},0.{x},0,0.9,1,{a},{s!r}\n" for t, x, a, s in rows))
    detector = PrecomputedBoxes(path)
    for second in range(6):
        expected: dict[int, float] = {}
        for t, x, _, score in rows:
            if t == second:
                expected[x] = max(expected.get(x, 0.0), score)
        people = detector([frame(second, "v", width=10, height=10)])[0]
        assert people.scores.tolist() == pytest.approx(sorted(expected.values(), reverse=True))
        got = {round(float(box[0])): float(score) for box, score in zip(people.boxes_xyxy, people.scores, strict=True)}
        assert got == pytest.approx(expected)


@pytest.mark.parametrize("suffix", ["pkl", "bin"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_of_proposals_is_read_as_its_csv_would_be(tmp_path, suffix, protocol):
    """By its name, or by its first byte; with numpy arrays or plain lists, keys as text or as pairs."""
    content = {
        "a,0000": np.array([[0.1, 0.2, 0.3, 0.9, 0.5], [0.5, 0.2, 0.8, 0.9, 0.75]], np.float32),
        "a,0001": np.zeros((0, 5), np.float32),
        ("a", 2): [[0.1, 0.2, 0.3, 0.9]],
    }
    path = tmp_path / f"proposals.{suffix}"
    path.write_bytes(pickle.dumps(content, protocol))
    at_0, at_1, at_2 = PrecomputedBoxes(path)(
        [Frame(np.zeros((10, 10, 3), np.uint8), second, "a") for second in range(3)]
    )
    np.testing.assert_allclose(at_0.boxes_xyxy, [[5, 2, 8, 9], [1, 2, 3, 9]], rtol=1e-6)
    assert at_0.scores.tolist() == [0.75, 0.5]
    assert (len(at_1), at_2.scores.tolist()) == (0, [1])


class Calls:
    def __reduce__(self):
        # Not ``print`` itself: Ray puts its own in its place, in the whole process.
        return (eval, ("print('it was run')",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a,0": Calls()}, "it names builtins.eval; .*; nothing in it was run"),
        ([1, 2], "is a dictionary of 'VIDEO,SECOND' to rows .*, got a list"),
        ({"a": [[0.1, 0.2, 0.3, 0.9]]}, "got the key 'a'"),
        ({"a,nan": [[0.1, 0.2, 0.3, 0.9]]}, "got the key 'a,nan'"),
        ({5: [[0.1, 0.2, 0.3, 0.9]]}, "got the key 5"),
        ({"a,0": [[0.1, 0.2, 0.3]]}, "at 'a,0' it has other values"),
        ({"a,0": {"boxes": []}}, "at 'a,0' it has other values"),
        ({"a,0": [[0.1, 0.2, 0.3, 1e400]]}, "at 'a,0' it has other values"),
        ({"a,0": None}, "at 'a,0' it has other values"),
        ({"a,0": [[10.0, 20, 30, 90, 0.9]]}, "boxes are fractions of the frame"),
        ({"a,0": [[0.1, 0.2, 0.3, 0.9, 7]]}, "scores lie in 0..1, got 7"),
    ],
)
def test_pickles_that_are_no_proposals_are_refused_and_never_run(tmp_path, capsys, content, message):
    path = tmp_path / "proposals.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(AvaDetectError, match=message) as error:
        PrecomputedBoxes(path)
    assert str(path) in str(error.value)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("damage", [b"", b"\x80", b"\x80\x04\x95", b"{}", b"\x80\x04."])
def test_damaged_pickles_are_refused(tmp_path, damage):
    path = tmp_path / "proposals.pkl"
    path.write_bytes(damage)
    with pytest.raises(FormatError, match="this pickle cannot be read as proposals"):
        PrecomputedBoxes(path)


def test_times_that_meet_no_keyframe_are_said_with_both_ranges(tmp_path):
    path = write_boxes(tmp_path / "boxes.csv", [("a", 902, BOX), ("a", 1798, BOX), ("b", 0.5, BOX)])
    detector = PrecomputedBoxes(path)
    message = detector.mismatch("a", [0, 1, 2])
    assert "none of the 2 times that it lists for a is a keyframe" in message
    assert "it lists 902 to 1798 s, and the 3 keyframes are 0 to 2 s; `start_seconds`" in message
    detector.start_seconds = 900.0
    assert detector.mismatch("a", [0, 1, 2]) == ""
    assert "are 0 to 1 s plus `start_seconds` 900" in detector.mismatch("a", [0, 1])
    detector.start_seconds = 0.0
    assert "`every_seconds`" in detector.mismatch("b", [0, 1])
    assert detector.mismatch("b", [0, 0.5]) == detector.mismatch("b", []) == detector.mismatch("c", [0]) == ""


def test_a_keyframe_without_people_that_are_kept_is_met(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text("a,902\nb,3,0.1,0.1,0.2,0.2,,0.1\n")
    detector = PrecomputedBoxes(path, min_score=0.5)
    assert detector.mismatch("a", [901, 902]) == detector.mismatch("b", [2, 3]) == ""


def test_a_device_without_an_end_is_no_pickle_of_proposals(tmp_path):
    endless = tmp_path / "boxes.pkl"
    endless.symlink_to("/dev/zero")
    with pytest.raises(FormatError, match=r"boxes.pkl cannot be read \(it is a device, not a file"):
        PrecomputedBoxes(endless)
