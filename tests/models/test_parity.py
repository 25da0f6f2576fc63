"""Our graphs against the peers' own code, run with the same weights: every stage, pooled features, logits, scores.

References are float64 runs of PySlowFast (287ec007), pytorchvideo (f3142bb) and mmaction2 (4d6c934), or fp32 ones for
the probes. The peers' own fp32 differs from their float64 by at most 1.9e-5 on logits, so 1e-4 is tight, and the
smallest structural fault shifts a score by 1.4e-3. The comparing itself is ``tools/check_parity.py``, as people run it.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from reference_cases import KNOWN, case_folders, case_parameters

from ava_detect.config import Config
from ava_detect.config.build import build_model
from ava_detect.models.weights.key_map import PYSLOWFAST

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import check_parity
from parity.case_config import CaseError, config_of


@pytest.fixture
def cases(shared) -> Path:
    return shared / "cases" / "parity"


@pytest.mark.parametrize("name", case_parameters())
def test_a_case_passes_as_people_run_it(shared, capsys, name):
    assert check_parity.main([str(case_folders()[name])]) == 0
    line = capsys.readouterr().out
    assert re.match(rf"{name} +ok +scores \S+  logits \S+  pooled \S+  ", line)
    assert line.count("\n") == 1
    assert "probe" in line


def test_the_known_cases_are_among_those_found(shared):
    assert set(case_folders()) >= KNOWN
    found = {path.name for folder in (shared / "cases").glob("parity*") for path in folder.iterdir()}
    assert set(case_folders()) == found


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"aligned": False}, r"square logits: off by"),
        ({"roi_scale": 8}, r"square roialign_first16/slow: off by"),
        ({"dilations": [[1, 1]] * 4}, r"square probe/s5.p0: off by"),
        ({"fusion_kernel": 5}, r"s1_fuse.conv_f2s.weight"),
        ({"width": 32}, r"shape"),
    ],
)
def test_a_fault_in_the_graph_is_seen_and_named(cases, tmp_path, capsys, fault, message):
    """The comparison can fail: the same case with one setting changed."""
    folder = edited(cases / "psf_tiny_ava", tmp_path, lambda meta: meta["model"].update(fault))
    assert check_parity.main([str(folder), "--fill", str(cases.parents[1] / "tools" / "parity")]) == 1
    assert re.search(message, capsys.readouterr().out)


def test_the_most_forgiving_fault_is_seen(cases, tmp_path, monkeypatch, capsys):
    """BN eps 1e-3 for 1e-5."""

    def build(config):
        model = build_model(config)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm3d):
                module.eps = 1e-3
        return model

    monkeypatch.setattr(check_parity, "build_model", build)
    assert check_parity.main([str(cases / "psf_tiny_ava")]) == 1
    assert "OUTSIDE" in capsys.readouterr().out


def test_a_broken_case_does_not_hide_the_others(cases, tmp_path, capsys):
    broken = edited(cases / "psf_tiny_ava", tmp_path, lambda meta: meta.update(family="nobody"))
    fill = str(cases.parents[1] / "tools" / "parity")
    assert check_parity.main([str(broken), str(cases / "psf_tiny_charades"), "--fill", fill]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert "FAILED CaseError: unknown family 'nobody'" in first
    assert second.startswith("psf_tiny_charades") and " ok " in second


def test_what_cannot_be_compared_is_named(cases, tmp_path, capsys):
    copy = edited(cases / "psf_tiny_ava", tmp_path, lambda meta: None)
    with np.load(copy / "expected.npz") as stored:
        expected = dict(stored)
    np.savez(copy / "expected.npz", **expected, **{"square/probe/s9.p0": np.zeros(64, np.float32)})
    fill = str(cases.parents[1] / "tools" / "parity")
    assert check_parity.main([str(copy), "--fill", fill]) == 0
    assert "not compared, being unknown to this tool: square probe/s9.p0\n" in capsys.readouterr().out
    np.savez(copy / "expected.npz", **{name: array for name, array in expected.items() if "logits" not in name})
    assert check_parity.main([str(copy), "--fill", fill]) == 1
    assert "CaseError: its expected.npz holds no logits" in capsys.readouterr().out


def test_a_nan_is_outside():
    errors = check_parity.Errors()
    errors.add("square logits", np.array([np.nan]), np.array([0.0]), (1e-4, 1e-4))
    assert len(errors.outside) == 1


def test_fill_must_be_found(tmp_path):
    with pytest.raises(
        SystemExit, match=r"has no fill\.py, which makes the weights of .*; name its folder with --fill"
    ):
        check_parity.main([str(tmp_path / "a" / "b" / "c")])


def edited(case: Path, folder: Path, change) -> Path:
    copy = folder / "cases" / case.name
    shutil.copytree(case, copy)
    for path in (copy, *copy.iterdir()):
        path.chmod(0o755)
    meta = json.loads((copy / "meta.json").read_text())
    change(meta)
    (copy / "meta.json").write_text(json.dumps(meta))
    return copy


# Cases of graphs that no folder holds: settings in PySlowFast's words, names and shapes of the graph that is meant.

PLAIN = {
    "frames": 16,
    "sampling_rate": 4,
    "alpha": 4,
    "single_pathway": False,
    "depth": 77,
    "width": 16,
    "beta_inv": 4,
    "fusion_ratio": 2,
    "fusion_kernel": 3,
    "num_block_temp_kernel": [[1, 1], [2, 1], [1, 2], [1, 1]],
    "strides": [[1, 1], [2, 2], [1, 1], [2, 2]],
    "dilations": [[1, 1], [1, 1], [2, 1], [1, 2]],
    "nonlocal_location": [[[], []], [[], [1]], [[0, 2], []], [[], []]],
    "nonlocal_pool": [[[1, 2, 2], [1, 2, 2]], [[1, 2, 2], [2, 1, 1]], [[2, 2, 2], [1, 2, 2]], [[1, 2, 2], [1, 2, 2]]],
    "nonlocal_kind": "softmax",
    "nonlocal_group": [[1, 1], [1, 2], [1, 1], [1, 1]],
    "num_classes": 7,
    "head_act": "sigmoid",
    "aligned": False,
    "roi_resolution": 5,
    "roi_scale": 16,
    "mean": [0.45] * 3,
    "std": [0.225] * 3,
}
MEANT = {
    "model": {
        "backbone": {
            "depths": [1, 2, 3, 1],
            "num_temporal": {"slow": [1, 2, 1, 1], "fast": [1, 1, 2, 1]},
            "width": 16,
            "beta_inv": 4,
            "fusion_kernel": 3,
            "strides": {"slow": [1, 2, 1, 2], "fast": [1, 2, 1, 2]},
            "dilations": {"slow": [1, 1, 2, 1], "fast": [1, 1, 1, 2]},
            "nonlocal_blocks": {"slow": {4: [0, 2]}, "fast": {3: [1]}},
            "nonlocal_pool": {"slow": {4: [2, 2, 2]}, "fast": {3: [2, 1, 1]}},
            "nonlocal_groups": {"slow": {4: 1}, "fast": {3: 2}},
            "nonlocal_affinity": "softmax",
        },
        "roi": {"aligned": False, "resolution": 5, "feature_stride": 16},
        "head": {"num_classes": 7},
    },
    "clip": {"num_frames": 16, "sampling_rate": 4},
}


def case_of(model: torch.nn.Module, settings: dict, kind: str = "det") -> SimpleNamespace:
    keys = [
        {"key": PYSLOWFAST.to_theirs(name), "shape": list(value.shape)} for name, value in model.state_dict().items()
    ]
    return SimpleNamespace(meta={"family": "PySlowFast", "kind": kind, "model": settings, "variants": []}, keys=keys)


def test_settings_of_an_unknown_case_become_the_graph_that_is_meant():
    meant = Config.model_validate(MEANT)
    config = config_of(case_of(build_model(meant), PLAIN))
    # The kernels in time are always spelled out; those of the default are the same.
    kernels = {"slow": (1, 1, 1, 3, 3), "fast": (5, 3, 3, 3, 3)}
    assert config.model.backbone.temporal_kernels == kernels
    assert config.model_dump() == meant.model_dump()


def test_settings_of_a_slow_only_classifier():
    settings = PLAIN | {
        "single_pathway": True,
        "alpha": 8,
        "head_act": "softmax",
        "train_crop": 96,
        **{name: [[stage[0]] for stage in PLAIN[name]] for name in ("num_block_temp_kernel", "strides", "dilations")},
        **{
            name: [[stage[0]] for stage in PLAIN[name]]
            for name in ("nonlocal_location", "nonlocal_pool", "nonlocal_group")
        },
    }
    meant = Config.model_validate(
        {
            "model": {
                "task": "classification",
                "backbone": {
                    **MEANT["model"]["backbone"],
                    "pathways": ["slow"],
                    "alpha": 1,
                    "temporal_kernels": {"slow": [5, 1, 3, 3, 1]},
                    **{
                        name: {"slow": MEANT["model"]["backbone"][name]["slow"]}
                        for name in ("num_temporal", "strides", "dilations")
                    },
                    **{
                        f"nonlocal_{name}": {"slow": MEANT["model"]["backbone"][f"nonlocal_{name}"]["slow"]}
                        for name in ("blocks", "pool", "groups")
                    },
                },
                "head": {"num_classes": 7, "activation": "softmax", "pool_size": 3},
            },
            "clip": {"num_frames": 16, "sampling_rate": 4},
        }
    )
    assert config_of(case_of(build_model(meant), settings, "cls")).model_dump() == meant.model_dump()


def test_the_structure_of_a_pytorchvideo_case_is_read_off_its_names(parity_case):
    config = config_of(parity_case("ptv_slowfast_r50"))
    shipped = Config.model_validate(
        {
            "model": {
                "task": "classification",
                "backbone": {
                    "num_temporal": {"slow": [3, 4, 6, 3], "fast": [3, 4, 6, 3]},
                    "strides": [1, 2, 2, 2],
                    "dilations": [1, 1, 1, 1],
                },
                "head": {"num_classes": 400, "activation": "none", "pool_size": 7},
            }
        }
    )
    assert config.model_dump() == shipped.model_dump()


def test_a_lateral_relu_without_norm_is_refused(parity_case):
    case = parity_case("mm_ava_slowfast_r50_4x16")
    case.meta["model"]["lateral_relu"] = True
    with pytest.raises(CaseError, match="a lateral connection with a ReLU has a batch norm too"):
        config_of(case)
