"""Random damage to small files of every container: read or refused in a sentence, never another exception.

Files of torch's current format have checksums, so that no changed bit goes unnoticed; for the others ``inspect`` says
what cannot be found.
"""

from __future__ import annotations

import argparse
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import SMALL_CONFIG
from weights_files import write_caffe2

from ava_detect.errors import WeightsError
from ava_detect.models.weights import convert, inspect_file, save_weights
from ava_detect.storage.file_hashes import sha256_of


@pytest.fixture(scope="module", params=["pyslowfast", "caffe2", "ours", "old format", "objects", "objects, old format"])
def whole_file(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "weights"
    small = torch.nn.ModuleDict({"head": torch.nn.ModuleDict({"projection": torch.nn.Linear(2, 3)})})
    if request.param == "ours":
        save_weights(small, path, config=SMALL_CONFIG)
    elif request.param == "caffe2":
        write_caffe2(path, {"pred_w": np.ones((3, 2), np.float32)})
    else:
        content = {"model_state": small.state_dict()}
        if "objects" in request.param:
            content |= {"args": argparse.Namespace(folder=Path("out"), sizes={1, 2}), "best": np.float64(1)}
        torch.save(content, path, _use_new_zipfile_serialization="old format" not in request.param)
    return path


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_but_never_crashes(whole_file, tmp_path, data):
    content = bytearray(whole_file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "damaged").write_bytes(content)
    try:
        str(inspect_file(tmp_path / "damaged"))
        convert(tmp_path / "damaged", tmp_path / "out", to="pyslowfast", overwrite=True)
    except WeightsError as error:
        assert "\n" not in str(error)


STATE = {"model_state": {"head.projection.weight": torch.linspace(-1, 1, 4000).reshape(2, 2000)}}


def saved(path: Path, *, is_zip: bool = True, has_checksums: bool = True) -> Path:
    torch.serialization.set_crc32_options(has_checksums)
    try:
        torch.save(STATE, path, _use_new_zipfile_serialization=is_zip)
    finally:
        torch.serialization.set_crc32_options(True)
    return path


@pytest.mark.parametrize("seed", range(10))
def test_flipped_bits_in_the_parts_of_a_torch_file_are_found(tmp_path, seed):
    path = saved(tmp_path / "whole.pyth")
    with zipfile.ZipFile(path) as archive:
        parts = [(info.header_offset + 128, info.file_size) for info in archive.infolist() if info.file_size > 1000]
    content, chance = bytearray(path.read_bytes()), random.Random(seed)
    ((start, size),) = parts
    for _ in range((1, 30)[seed % 2]):
        content[start + chance.randrange(size - 128)] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    with pytest.raises(
        WeightsError, match=r"checksum of its part whole/data/0 differs: bytes in it have changed\); down"
    ):
        inspect_file(path)
    with pytest.raises(WeightsError, match="checksum of its part"):
        convert(path, tmp_path / "out", to="ava_detect")


def test_what_was_checked_is_said(tmp_path):
    whole = inspect_file(saved(tmp_path / "whole.pyth"))
    assert "the checksums of all" in whole.checked and f"checked    {whole.checked}" in str(whole)
    for path in (
        saved(tmp_path / "without.pyth", has_checksums=False),
        saved(tmp_path / "old.pyth", is_zip=False),
        write_caffe2(tmp_path / "caffe2.pkl", {"pred_w": np.ones((3, 2), np.float32)}) or tmp_path / "caffe2.pkl",
    ):
        checked = inspect_file(path).checked
        assert "has no checksums, so changed bytes may go unnoticed: compare its sha256" in checked
        assert sha256_of(path) in checked


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize(
    ("value", "message"), [(torch.nan, "NaN or inf"), (-torch.inf, "NaN or inf"), (-3e38, r"values up to 3e\+38")]
)
def test_numbers_that_no_network_has_are_named(tmp_path, value, message, is_zip):
    state = {"model_state": {"a.weight": torch.ones(2), "b.weight": torch.tensor([0.5, value])}}
    torch.save(state, tmp_path / "odd.pyth", _use_new_zipfile_serialization=is_zip)
    with pytest.raises(WeightsError, match=rf"odd\.pyth: b\.weight holds {message}.*no trained network has these"):
        inspect_file(tmp_path / "odd.pyth")
