from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_detect.detectors.precomputed import PrecomputedBoxes
from ava_detect.evaluation.keyframes import KeyframeKeys
from ava_detect.formats.ava_csv import AvaTable
from ava_detect.inference.keyframe_plan import plan_keyframes
from ava_detect.results.saved import locate
from ava_detect.structures import Frame
from ava_detect.structures.video_ids import ByVideoId, composed
from ava_detect.video.sources import find_videos

NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
FORMS = pytest.mark.parametrize(("there", "here"), [(NFC, NFD), (NFD, NFC), ("plain", "plain")])


@given(st.text())
def test_an_id_is_found_in_each_of_its_forms(text):
    for form in ("NFC", "NFD"):
        known = ByVideoId([(unicodedata.normalize(form, text), 1)])
        for asked in (text, *(unicodedata.normalize(other, text) for other in ("NFC", "NFD"))):
            assert (asked in known, known[asked], known.get(asked), known.setdefault(asked, 2)) == (True, 1, 1, 1)
        assert list(known) == [composed(text)]


def test_other_ids_are_other_ids():
    known = ByVideoId([("a", 1), ("ä", 2)])
    assert ("A" in known, known.get("b"), known.get("b", 3), 7 in known) == (False, None, 3, False)
    with pytest.raises(KeyError):
        known["b"]


@FORMS
def test_precomputed_boxes_of_either_form(tmp_path, there, here):
    path = tmp_path / "boxes.csv"
    path.write_text(f"{there},0,0.1,0.1,0.5,0.5,,0.9\n", encoding="utf-8")
    frame = Frame(np.zeros((10, 10, 3), np.uint8), 0.0, here)
    assert len(PrecomputedBoxes(path)([frame])[0]) == 1


@FORMS
def test_keyframes_are_planned_in_files_of_either_form(tmp_path, there, here):
    (tmp_path / f"{there}.mp4").touch()
    plan = plan_keyframes(AvaTable.from_columns([here], [1.0], np.full((1, 4), np.nan)), tmp_path)
    assert [(video.source.video_id, video.source.path.stem) for video in plan.videos] == [(here, there)]


@FORMS
def test_keyframes_of_either_form_are_the_same(there, here):
    keys = KeyframeKeys()
    first, second = (
        keys.of_rows(AvaTable.from_columns(["a", name], [1.0, 2.0], np.full((2, 4), np.nan))) for name in (there, here)
    )
    np.testing.assert_array_equal(first, second)
    assert keys.video_ids == ("a", there)


@FORMS
def test_a_moved_video_is_located_by_either_form(tmp_path, there, here):
    (tmp_path / f"{there}.mp4").touch()
    videos = find_videos([tmp_path])
    assert locate("other", tmp_path / "before" / f"{here}.mp4", videos) == tmp_path / f"{there}.mp4"
    assert locate(here, None, videos) == tmp_path / f"{there}.mp4"
