"""Names and settings in a file may hold line breaks and control characters: messages and reports show them escaped."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import SMALL_CONFIG, lively_model
from safetensors.torch import load_file, save_file
from weights_files import renamed, write_caffe2

from ava_detect.errors import WeightsError, shown
from ava_detect.models.weights import convert, inspect_file, load_weights, save_weights

NAME = "head\n\x1b[31m\u202e.é"
ESCAPED = r"head\n\x1b[31m\u202e.é"


def assert_shown(text: str) -> None:
    assert ESCAPED in text
    assert NAME not in text and "\x1b" not in text and "\u202e" not in text


def test_printable_text_is_shown_as_it_is_and_everything_else_escaped():
    assert shown("s1.weight é \\n 視") == "s1.weight é \\n 視"
    assert shown("a\r\n\t\0\x7f\u2028\ud800") == r"a\r\n\t\x00\x7f\u2028\ud800"
    assert shown(ValueError("two\nlines")) == r"two\nlines"


@pytest.mark.parametrize(
    "pickle", [b"\x80\x04\x8c\x06num\npy\x8c\x03a\x1bb\x93.", b"\x80\x04\x8c\x06num\npy\x8c\x03a\x1bb\x93)R."]
)
def test_a_refused_global(tmp_path, pickle):
    (tmp_path / "w.pkl").write_bytes(pickle)
    with pytest.raises(WeightsError) as error:
        inspect_file(tmp_path / "w.pkl")
    assert r"it names num\npy.a\x1bb; only" in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unexpected_tensor(tmp_path):
    state = {**renamed(lively_model(), "pyslowfast"), NAME: torch.ones(1)}
    torch.save({"model_state": state, NAME: 1}, tmp_path / "w.pyth")
    with pytest.raises(WeightsError) as error:
        load_weights(lively_model(), tmp_path / "w.pyth")
    assert_shown(str(error.value))
    assert_shown(str(load_weights(lively_model(), tmp_path / "w.pyth", strict=False)))
    assert_shown(str(inspect_file(tmp_path / "w.pyth")))
    with pytest.raises(WeightsError) as error:
        convert(tmp_path / "w.pyth", tmp_path / "out", to="caffe2")
    assert_shown(str(error.value))


def test_a_file_of_no_known_family(tmp_path):
    torch.save({NAME: torch.ones(1)}, tmp_path / "w.pyth")
    with pytest.raises(WeightsError) as error:
        load_weights(lively_model(), tmp_path / "w.pyth")
    assert_shown(str(error.value))


def test_a_momentum_blob_that_is_ignored(tmp_path):
    write_caffe2(tmp_path / "w.pkl", {"pred_w": np.ones((3, 2), np.float32), f"{NAME}_momentum": np.ones(1)})
    assert_shown(str(inspect_file(tmp_path / "w.pkl")))
    assert_shown(str(convert(tmp_path / "w.pkl", tmp_path / "out", to="pyslowfast")))


def test_a_setting_in_the_metadata(tmp_path):
    path = save_weights(lively_model(), tmp_path / "ours", config=SMALL_CONFIG)
    metadata = {"format": "ava_detect", "version": "1", "config": "{}", "colour_order": NAME}
    save_file(load_file(path), tmp_path / "other", metadata=metadata)
    with pytest.raises(WeightsError) as error:
        load_weights(lively_model(), tmp_path / "other")
    assert_shown(str(error.value))
    assert_shown(str(inspect_file(tmp_path / "other")))
