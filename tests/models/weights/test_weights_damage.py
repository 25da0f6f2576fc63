"""Random damage to small files of every container: read or refused in a sentence, never another exception."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import SMALL_CONFIG
from weights_files import write_caffe2

from ava_detect.errors import WeightsError
from ava_detect.models.weights import convert, inspect_file, save_weights


@pytest.fixture(scope="module", params=["pyslowfast", "caffe2", "ours", "old format"])
def whole_file(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "weights"
    small = torch.nn.ModuleDict({"head": torch.nn.ModuleDict({"projection": torch.nn.Linear(2, 3)})})
    if request.param == "ours":
        save_weights(small, path, config=SMALL_CONFIG)
    elif request.param == "caffe2":
        write_caffe2(path, {"pred_w": np.ones((3, 2), np.float32)})
    else:
        torch.save(
            {"model_state": small.state_dict()}, path, _use_new_zipfile_serialization=request.param != "old format"
        )
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
        convert(tmp_path / "damaged", tmp_path / "out", to="pyslowfast")
    except WeightsError as error:
        assert "\n" not in str(error)
