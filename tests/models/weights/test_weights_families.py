"""Every family's own files, and every name of the reference cases, both ways."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from networks import lively_model
from reference_cases import KNOWN, case_parameters, meta_of
from weights_files import python2_pickle, renamed, same_state, write_caffe2, write_family

from ava_detect.errors import WeightsError
from ava_detect.models.weights import FAMILIES, load_weights, save_weights
from ava_detect.models.weights.key_map import map_for_writing, recognise, translate
from ava_detect.models.weights.renaming import last_blocks

FOREIGN = ["pyslowfast", "caffe2", "pytorchvideo", "mmaction2"]


def case_names(parity_case, case: str) -> tuple[list[str], bool]:
    read = parity_case(case)
    return [entry["key"] for entry in read.keys], read.meta["kind"] == "det"


@pytest.mark.parametrize("case", case_parameters())
def test_every_name_of_a_reference_case_goes_to_ours_and_back(parity_case, case):
    names, detection = case_names(parity_case, case)
    family = recognise(names)
    peer = meta_of(case)["family"]
    assert FAMILIES[family].family == ("VideoMAE/UMT" if peer in ("UMT", "VideoMAE-AD") else peer)
    ours = translate(FAMILIES[family], names)
    assert None not in ours.values()
    assert recognise([name for name in ours.values() if name]) == "ava_detect"
    key_map = map_for_writing(family, ours.values(), detection=detection)
    assert {key_map.to_theirs(one): one for one in ours.values()} == ours


@pytest.mark.parametrize("case", [name for name in sorted(KNOWN) if name.startswith("psf_")])
def test_every_pyslowfast_name_has_a_caffe2_name_but_the_counters(parity_case, case):
    names, _ = case_names(parity_case, case)
    ours = [one for one in translate(FAMILIES["pyslowfast"], names).values() if one]
    caffe2, last = FAMILIES["caffe2"], last_blocks(ours)
    blobs = {one: caffe2.to_theirs(one, last) for one in ours}
    assert {one.rpartition(".")[2] for one, blob in blobs.items() if blob is None} == {"num_batches_tracked"}
    assert translate(caffe2, [blob for blob in blobs.values() if blob]) == {b: one for one, b in blobs.items() if b}


@pytest.mark.parametrize(
    ("family", "theirs", "ours"),
    [
        ("caffe2", "conv1_w", "backbone.stem.slow.conv.weight"),
        ("caffe2", "t_res_conv1_bn_riv", "backbone.stem.fast.bn.running_var"),
        ("caffe2", "res_conv1_bn_rm", "backbone.stem.slow.bn.running_mean"),
        ("caffe2", "res4_5_branch2b_w", "backbone.res4.slow.block5.b.conv.weight"),
        ("caffe2", "t_res2_0_branch1_bn_s", "backbone.res2.fast.block0.shortcut.bn.weight"),
        ("caffe2", "t_res2_0_branch1_bn_b", "backbone.res2.fast.block0.shortcut.bn.bias"),
        ("caffe2", "t_pool1_subsample_bn_riv", "backbone.lateral1.bn.running_var"),
        ("caffe2", "t_res4_5_branch2c_bn_subsample_w", "backbone.lateral4.conv.weight"),
        ("caffe2", "t_res4_5_branch2c_bn_subsample_bn_s", "backbone.lateral4.bn.weight"),
        ("caffe2", "nonlocal_conv4_13_theta_b", "backbone.res4.slow.nonlocal13.theta.bias"),
        ("caffe2", "nonlocal_conv4_13_bn_riv", "backbone.res4.slow.nonlocal13.bn.running_var"),
        ("caffe2", "pred_w", "head.projection.weight"),
        ("caffe2", "res2_0_branch2a_rm", None),
        ("pytorchvideo", "model.blocks.0.multipathway_fusion.norm.bias", "backbone.lateral1.bn.bias"),
        (
            "pytorchvideo",
            "blocks.4.multipathway_blocks.1.res_blocks.2.branch2.conv_c.weight",
            "backbone.res5.fast.block2.c.conv.weight",
        ),
        ("pytorchvideo", "blocks.1.res_blocks.0.branch1_norm.weight", "backbone.res2.slow.block0.shortcut.bn.weight"),
        ("pytorchvideo", "detection_head.proj.bias", "head.projection.bias"),
        ("pytorchvideo", "model.blocks.6.proj.bias", "head.projection.bias"),
        ("pytorchvideo", "blocks.5.proj.bias", "head.projection.bias"),
        ("mmaction2", "backbone.slow_path.layer3_lateral.conv.weight", "backbone.lateral4.conv.weight"),
        ("mmaction2", "backbone.layer4.2.conv3.bn.bias", "backbone.res5.slow.block2.c.bn.bias"),
        ("mmaction2", "backbone.conv1.bn.weight", "backbone.stem.slow.bn.weight"),
        ("mmaction2", "cls_head.fc_cls.weight", "head.projection.weight"),
        ("mmaction2", "roi_head.bbox_head.fc_cls.0.bias", "head.hidden.bias"),
        ("mmaction2", "roi_head.bbox_head.fc_cls.2.bias", "head.projection.bias"),
        ("mmaction2", "roi_head.shared_head.conv1.conv.weight", "roi_pool.relation.conv1.conv.weight"),
        ("mmaction2", "roi_head.shared_head.convs.0.bn.bias", "roi_pool.relation.convs.0.bn.bias"),
        (
            "mmaction2",
            "backbone.layer2.0.non_local_block.theta.conv.bias",
            "backbone.res3.slow.nonlocal0.theta.bias",
        ),
        (
            "mmaction2",
            "backbone.layer3.4.non_local_block.phi.0.conv.weight",
            "backbone.res4.slow.nonlocal4.phi.weight",
        ),
        ("mmaction2", "backbone.layer3.4.non_local_block.g.conv.weight", "backbone.res4.slow.nonlocal4.g.weight"),
        (
            "mmaction2",
            "backbone.fast_path.layer1.0.non_local_block.conv_out.conv.weight",
            "backbone.res2.fast.nonlocal0.out.weight",
        ),
        (
            "mmaction2",
            "backbone.layer3.4.non_local_block.conv_out.bn.running_var",
            "backbone.res4.slow.nonlocal4.bn.running_var",
        ),
        ("pyslowfast", "s6.pathway0_res0.branch1.weight", None),
    ],
)
def test_names_by_hand(family, theirs, ours):
    assert FAMILIES[family].to_ours(theirs) == ours


@pytest.mark.parametrize("family", FOREIGN)
def test_a_file_in_a_familys_own_layout_fills_the_model(source, tmp_path, family):
    model = lively_model()
    report = load_weights(model, write_family(source, family, tmp_path / "weights"))
    assert report.complete
    assert report.family == FAMILIES[family].family
    assert same_state(model, source)


def test_our_own_file_fills_the_model(source, tmp_path):
    model = lively_model()
    report = load_weights(model, save_weights(source, tmp_path / "ours.bin"))
    assert report.complete
    assert report.family == "ava_detect"
    assert same_state(model, source)


def test_slow_only_networks_are_spelled_without_pathways(tmp_path):
    slow = {"model": {"backbone": {"pathways": ["slow"], "alpha": 1, "depths": [1, 1, 1, 1], "width": 16}}}
    source = lively_model(seed=3, **slow)
    for family, name in (("pytorchvideo", "model.blocks.0.conv.weight"), ("mmaction2", "backbone.conv1.conv.weight")):
        assert name in renamed(source, family)
        model = lively_model(**slow)
        load_weights(model, write_family(source, family, tmp_path / family))
        assert same_state(model, source)


def test_caffe2_bookkeeping_is_ignored_by_name_and_counters_are_not_missed(source, tmp_path):
    report = load_weights(lively_model(), write_family(source, "caffe2", tmp_path / "c2.pkl"))
    assert set(report.ignored) == {"conv1_w_momentum", "lr", "model_iter"}
    assert "no batch-norm counters" in str(report)
    assert "ignored     conv1_w_momentum" in str(report)
    counters = sum(name.endswith("num_batches_tracked") for name in source.state_dict())
    assert len(report.loaded) == report.num_expected == len(source.state_dict()) - counters


@pytest.mark.parametrize("protocol", range(6))
def test_caffe2_files_of_every_pickle_protocol(source, tmp_path, protocol):
    blobs = {name: tensor.numpy() for name, tensor in renamed(source, "caffe2").items()}
    model = lively_model()
    load_weights(model, write_caffe2(tmp_path / "c2.pkl", blobs, protocol=protocol))
    assert same_state(model, source)


def test_a_caffe2_file_of_python_2(source, tmp_path):
    blobs = {name: tensor.numpy() for name, tensor in renamed(source, "caffe2").items()}
    data = python2_pickle(blobs)
    assert np.array_equal(pickle.loads(data, encoding="latin1")["blobs"]["pred_w"], blobs["pred_w"])
    (tmp_path / "c2.pkl").write_bytes(data)
    model = lively_model()
    load_weights(model, tmp_path / "c2.pkl")
    assert same_state(model, source)


def test_caffe2_shapes_without_their_trailing_ones_load(source, tmp_path):
    blobs = {name: tensor.numpy() for name, tensor in renamed(source, "caffe2").items()}
    flat = {name: b.reshape(b.shape[:2]) if b.shape[2:] == (1, 1, 1) else b for name, b in blobs.items()}
    assert any(flat[name].ndim != blobs[name].ndim for name in flat)
    model = lively_model()
    load_weights(model, write_caffe2(tmp_path / "c2.pkl", flat))
    assert same_state(model, source)


def test_fortran_and_big_endian_arrays_load(source, tmp_path):
    blobs = {name: tensor.numpy() for name, tensor in renamed(source, "caffe2").items()}
    blobs["pred_w"] = np.asfortranarray(blobs["pred_w"])
    blobs["pred_b"] = blobs["pred_b"].astype(">f4")
    model = lively_model()
    load_weights(model, write_caffe2(tmp_path / "c2.pkl", blobs))
    assert same_state(model, source)


def test_a_caffe2_lateral_named_after_the_wrong_block_is_not_taken(source, tmp_path):
    blobs = {name: tensor.numpy() for name, tensor in renamed(source, "caffe2").items()}
    blobs["t_res2_3_branch2c_bn_subsample_w"] = blobs.pop("t_res2_0_branch2c_bn_subsample_w")
    with pytest.raises(WeightsError, match="1 unknown to the model: t_res2_3_branch2c_bn_subsample_w"):
        load_weights(lively_model(), write_caffe2(tmp_path / "c2.pkl", blobs))


def test_two_names_of_one_tensor_are_refused(source, tmp_path):
    state = renamed(source, "pytorchvideo")
    state["model.blocks.6.proj.bias"] = state["detection_head.proj.bias"]
    torch.save(state, tmp_path / "twice.pth")
    with pytest.raises(WeightsError, match=r"detection_head.proj.bias and model.blocks.6.proj.bias are names of the"):
        load_weights(lively_model(), tmp_path / "twice.pth")
