from __future__ import annotations

import pytest
import torch
from networks import lively_model, save_pyslowfast
from weights_files import A_KEY, same_state

from ava_detect.config.build import build_model
from ava_detect.errors import WeightsError
from ava_detect.models.weights import load_weights
from ava_detect.models.weights.key_map import PYSLOWFAST


@pytest.fixture
def checkpoint(source, tmp_path):
    return save_pyslowfast(source, tmp_path / "model.pyth")


def edit(path, change) -> None:
    content = torch.load(path, weights_only=True)
    change(content["model_state"])
    torch.save(content, path)


def test_a_whole_checkpoint_fills_the_model(source, checkpoint):
    model = lively_model()
    assert not same_state(model, source)
    report = load_weights(model, checkpoint)
    assert same_state(model, source)
    assert report.complete
    assert str(report) == (
        f"{checkpoint}: PySlowFast layout, {len(report.loaded)} of {len(report.loaded)} tensors loaded\n"
        "  note        it also holds epoch, cfg, which is not needed"
    )


@pytest.mark.parametrize(
    "case", ["psf_ava_slowfast_32x2_r50_short", "psf_ava_c2_slowfast_32x2_r101_50_50", "psf_tiny_ava_nln"]
)
def test_the_key_map_knows_every_name_of_the_reference_cases_both_ways(parity_case, case):
    for entry in parity_case(case).keys:
        ours = PYSLOWFAST.to_ours(entry["key"])
        assert ours is not None, entry["key"]
        assert PYSLOWFAST.to_theirs(ours) == entry["key"]


def test_662_of_662_for_r50(parity_case, tmp_path):
    case = parity_case("psf_ava_slowfast_32x2_r50_short")
    state = {name: torch.from_numpy(array.copy()) for name, array in case.weights().items()}
    torch.save({"model_state": state}, tmp_path / "r50.pyth")
    report = load_weights(build_model("slowfast_r50_32x2"), tmp_path / "r50.pyth")
    assert (len(report.loaded), report.num_expected) == (662, 662)


def remove(state):
    del state[A_KEY]


def rename(state):
    state[A_KEY.replace("res0", "res9")] = state.pop(A_KEY)


def reshape(state):
    state[A_KEY] = state[A_KEY][..., :1]


def misname(state):
    state["s3.pathway1_res0.branch2.q.weight"] = state.pop(A_KEY)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (remove, [f"1 missing from the file: {A_KEY}"]),
        (rename, [f"1 missing from the file: {A_KEY}", "1 unknown to the model: s3.pathway1_res9.branch2.b.weight"]),
        (misname, [f"1 missing from the file: {A_KEY}", "1 unknown to the model: s3.pathway1_res0.branch2.q.weight"]),
        (reshape, [f"1 of another shape: {A_KEY} (file [4, 4, 1, 3, 1], model [4, 4, 1, 3, 3])"]),
    ],
)
def test_one_wrong_tensor_stops_the_load_and_is_named(source, checkpoint, change, parts):
    edit(checkpoint, change)
    model = lively_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(WeightsError) as error:
        load_weights(model, checkpoint)
    for part in [*parts, "model.pyth does not fit this model", "nothing was loaded"]:
        assert part in str(error.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_not_strict_loads_what_fits_and_reports_the_rest(source, checkpoint):
    edit(checkpoint, reshape)
    model = lively_model()
    report = load_weights(model, checkpoint, strict=False)
    assert not report.complete
    assert report.mismatched == ((A_KEY, (4, 4, 1, 3, 1), (4, 4, 1, 3, 3)),)
    assert f"mismatched  {A_KEY}  file [4, 4, 1, 3, 1], model [4, 4, 1, 3, 3]" in str(report)
    ours = PYSLOWFAST.to_ours(A_KEY)
    different = [n for n, tensor in model.state_dict().items() if not torch.equal(tensor, source.state_dict()[n])]
    assert different == [ours]


def test_weights_of_another_architecture_are_refused(checkpoint):
    with pytest.raises(WeightsError, match=r"does not fit this model \(\d+ of 374 tensors match\): \d+ missing"):
        load_weights(build_model("demo"), checkpoint)


def test_a_bare_state_dict_is_read(source, checkpoint):
    torch.save(torch.load(checkpoint, weights_only=True)["model_state"], checkpoint)
    assert load_weights(lively_model(), checkpoint).complete


def test_an_old_style_checkpoint_is_read(source, checkpoint):
    content = torch.load(checkpoint, weights_only=True)
    torch.save(content, checkpoint, _use_new_zipfile_serialization=False)
    model = lively_model()
    assert load_weights(model, checkpoint).complete
    assert same_state(model, source)


def test_an_unknown_family_is_refused(checkpoint):
    with pytest.raises(
        WeightsError, match=r"no weights family is called 'caffe'; known: auto, ava_detect, .*mean 'caffe2'"
    ):
        load_weights(lively_model(), checkpoint, family="caffe")
