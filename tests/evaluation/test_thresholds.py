"""Thresholds from a number and from files, and those that are refused."""

from __future__ import annotations

import numpy as np
import pytest

from ava_detect.errors import ConfigError, FormatError
from ava_detect.evaluation.calibration import Calibration, ClassCalibration
from ava_detect.evaluation.thresholds import Thresholds
from ava_detect.structures.labels import LabelMap

TWO = LabelMap.ava().subset((12, 11))


def test_a_number_is_for_all_classes():
    for given in (0.5, "0.5", Thresholds(0.5)):
        thresholds = Thresholds.of(given)
        assert thresholds.of_classes(TWO).tolist() == [0.5, 0.5]
        assert (thresholds.to_json(), thresholds.is_of_network_scores) == (0.5, False)


@pytest.mark.parametrize(
    "text",
    [
        "id,threshold\n11,0.3\n12,\n",
        "\ufeff12,\n\n 11 , 0.3 \n",
        "action_id,threshold\r\n12,\r\n11,0.3\r\n",
        '{"11": 0.3, "12": null}',
        "default,0.3\n12,\n",
    ],
)
def test_a_file_has_one_for_each_class(tmp_path, text):
    (tmp_path / "t").write_text(text)
    thresholds = Thresholds.of(str(tmp_path / "t"))
    assert thresholds.of_classes(TWO).tolist() == [np.inf, np.float32(0.3)]


def test_a_calibration_has_thresholds_of_the_networks_scores(tmp_path):
    classes = tuple(ClassCalibration(i, n, 0.25, None, "class", 1, 1, 1) for i, n in ((11, "sit"), (12, "stand")))
    Calibration(classes, "none", None, 0.5, 1).save(tmp_path / "cal.json")
    thresholds = Thresholds.of(tmp_path / "cal.json")
    assert thresholds.is_of_network_scores
    assert thresholds.of_classes(TWO).tolist() == [0.25, 0.25]
    assert thresholds.to_json() == {"11": 0.25, "12": 0.25}
    with pytest.raises(ConfigError, match=r"cal\.json is for other classes .*: nothing is given for class 80"):
        thresholds.of_classes(LabelMap.ava().subset((11, 12, 80)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"t holds no thresholds \(it is empty\); give lines `id,threshold`"),
        ("id,threshold\n", "it is empty"),
        ("11,0.3,5\n", "t, line 1: 3 columns, where `id,threshold` has 2"),
        ("11;0.3\n", "t, line 1: 1 columns"),
        ("11,0.3\n12,1.5\n", "t, line 2: a threshold is a number from 0 to 1, got '1.5'"),
        ("11,nan\n", "t, line 1: a threshold is a number"),
        ("11,high\n", "t, line 1: a threshold is a number"),
        ("sit,0.3\n", "t, line 1: an id is a whole number from 0 to 1000000, got 'sit'"),
        ("-1,0.3\n", "got '-1'"),
        ("00000000000001234567,0.3\n", "an id is a whole number"),
        ("11,0.3\n011,0.4\n", "t, line 2: 11 is given twice"),
        ("default,\n", "the default needs a threshold"),
        ("default,0.1\ndefault,0.2\n", "default is given twice"),
        ('{"11": "0.3x"}', "t, entry '11': a threshold is a number"),
        ('{"11": true}', "t, entry '11': a threshold is a number"),
        ('{"11": [0.3]}', "t, entry '11': a threshold is a number"),
        ('{"11": 0.3', r"t holds no thresholds \(no JSON"),
        ('{"format": "ava_detect.calibration"}', "t is no calibration"),
        ('{"mAP": 0.3}', "an id is a whole number"),
    ],
)
def test_other_files_are_refused_with_the_place(tmp_path, text, message):
    (tmp_path / "t").write_text(text)
    with pytest.raises(FormatError, match=message):
        Thresholds.of(tmp_path / "t")


def test_bytes_and_missing_files_are_refused(tmp_path):
    (tmp_path / "t").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match=r"t holds no thresholds \(it is no text\)"):
        Thresholds.of(tmp_path / "t")
    with pytest.raises(FormatError, match=r"gone: the thresholds cannot be read \(No such file.*give a number"):
        Thresholds.of("gone")


@pytest.mark.parametrize("given", ["1.5", -0.1, "nan", float("nan")])
def test_numbers_out_of_range_are_refused(given):
    with pytest.raises(ConfigError, match="`thresholds` are scores from 0 to 1"):
        Thresholds.of(given)


def test_classes_that_do_not_fit_are_refused(tmp_path):
    (tmp_path / "t").write_text("11,0.3\n")
    with pytest.raises(ConfigError, match=r"t is for other classes than the network's: nothing is given for class 12"):
        Thresholds.of(tmp_path / "t").of_classes(TWO)
    (tmp_path / "t").write_text("99,0.3\ndefault,0.5\n")
    with pytest.raises(ConfigError, match="the network has no class 99"):
        Thresholds.of(tmp_path / "t").of_classes(TWO)
    with pytest.raises(ConfigError, match="holds no threshold"):
        Thresholds()
