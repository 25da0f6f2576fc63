from __future__ import annotations

import numpy as np
import pytest

from ava_detect.detectors.classes import chosen_classes, names_by_index, read_classes, select_actors
from ava_detect.errors import DetectorError

NAMES = {0: "Person", 1: "dog", 16: "sports ball", 17: "dog"}
IMAGE = np.zeros((20, 40, 3), np.uint8)


def test_numbers_and_names_are_told_apart():
    assert read_classes("0, 16,sports ball") == (0, 16, "sports ball")


@pytest.mark.parametrize(
    ("text", "message"), [("", "give names or numbers"), ("0,,1", "give names"), ("-1", "classes count from 0")]
)
def test_texts_that_are_no_classes(text, message):
    with pytest.raises(ValueError, match=message):
        read_classes(text)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, (0,)),
        ((16, 0, 0), (0, 16)),
        (("DOG",), (1, 17)),
        (("sports_ball", 1), (1, 16)),
    ],
)
def test_classes_are_found_in_the_models_own_list(wanted, found):
    assert chosen_classes(wanted, NAMES, "m") == found


def test_person_has_several_names_and_a_model_of_one_class_has_no_other():
    assert chosen_classes(None, {0: "head", 3: "pedestrian"}, "m") == (3,)
    assert chosen_classes(None, {7: "ape"}, "m") == (7,)
    assert chosen_classes(None, {}, "m", unnamed=1) == (1,)


@pytest.mark.parametrize(
    ("wanted", "names", "message"),
    [
        (("dgo",), NAMES, r"m: there is no class 'dgo' \(did you mean 'dog'\?\); its classes are 0 Person, 1 dog, 16"),
        ((5,), NAMES, "m: there is no class 5; its classes are 0 Person"),
        (("dog",), {}, r"m: it names no classes, so 'dog' cannot be found; give their numbers \(classes=0,16\)"),
        (None, {0: "cat", 1: "dog"}, r"none of its 2 classes is called person; .*\(classes=NAME,NAME\): 0 cat, 1 dog$"),
        ((9,), dict.fromkeys(range(1, 200), "a\n"), r"1 a\\n, .* and 99 more$"),
    ],
)
def test_classes_that_are_not_there(wanted, names, message):
    if wanted == (9,):
        wanted = ("b",)
    with pytest.raises(DetectorError, match=message):
        chosen_classes(wanted, names, "m")


def test_lists_of_names_of_any_kind():
    assert names_by_index(["a", "b"]) == {0: "a", 1: "b"}
    assert names_by_index({3: "a"}) == {3: "a"}
    assert names_by_index(None) == names_by_index("ab") == names_by_index({"a": 1}) == {}


def test_actors_are_of_the_chosen_classes_inside_the_frame_best_first():
    corners = [[0, 0, 10, 10], [5, 5, 70, 30], [1, 1, 2, 2], [3, 3, 9, 9], [40, 0, 50, 10]]
    found = corners, [0.5, 0.75, 0.25, 0.9, 0.9], [1, 1, 1, 0, 1]
    actors = select_actors(found, (1,), 0.5, IMAGE)
    assert actors.boxes_xyxy.tolist() == [[5, 5, 40, 20], [0, 0, 10, 10]]
    assert actors.scores.tolist() == [0.75, 0.5]
    assert len(select_actors((np.zeros((0, 4)), [], []), (1,), 0.5, IMAGE)) == 0


def test_an_actor_found_as_two_classes_is_one():
    """Boxes of one class are left as the model gives them."""
    box, near, other = [0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10]
    found = [box, near, near, other], [0.6, 0.9, 0.8, 0.7], [0, 1, 1, 0]
    assert select_actors(found, (0, 1), 0.5, IMAGE).boxes_xyxy.tolist() == [near, near, other]
    assert select_actors(found, (0,), 0.5, IMAGE).boxes_xyxy.tolist() == [other, box]
