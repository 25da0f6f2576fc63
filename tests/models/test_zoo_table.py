"""The table of checkpoints: every row is whole, agrees with its config, and none is dropped in silence."""

from __future__ import annotations

import csv
import itertools
import math
import re
import sys
from pathlib import Path

import pytest
from processes import run_python

from ava_detect.config import config_names, load_config
from ava_detect.config.build import tensor_shapes
from ava_detect.config.memory import weight_bytes
from ava_detect.environment import resource_dir
from ava_detect.errors import ConfigError, WeightsError
from ava_detect.models.zoo import find_entry, listed_entry, resolve
from ava_detect.models.zoo_choice import DEVICES, default_for, default_reason, recommend
from ava_detect.models.zoo_table import (
    COSTS,
    DATA,
    EVALUATORS,
    ZOO,
    best_first,
    configs_of_file_name,
    read_tsv,
    runnable,
)

sys.path.append(str(Path(__file__).resolve().parents[2] / "tools"))
from benchmark_configs import table

HOSTS = (
    "https://dl.fbaipublicfiles.com/",
    "https://download.openmmlab.com/",
    "https://pjlab-gvm-data.oss-cn-shanghai.aliyuncs.com/",
    "https://drive.google.com/",
    "https://yzaws-data-log.s3.amazonaws.com/",
)


def test_every_entry_has_a_config_or_a_reason_and_a_source():
    for name, entry in ZOO.items():
        assert entry.name == name
        assert entry.config in config_names() if not entry.not_runnable else not entry.config
        assert entry.address.startswith(HOSTS)
        assert entry.source and entry.code_licence and entry.weights_licence and entry.metric
        assert entry.published is not None or entry.is_start
        assert (entry.evaluator in EVALUATORS) == entry.is_detector
    assert len({entry.address for entry in ZOO.values()}) == len(ZOO) == len(read_tsv(DATA / "weights.tsv"))


def test_the_table_is_read_without_pytorch():
    script = "import sys, ava_detect.models.zoo_choice as z; z.recommend('cuda'); print('torch' in sys.modules)"
    assert run_python(script).stdout == "False\n"


def test_every_public_checkpoint_that_was_found_is_in_the_table(shared):
    """The 36 rows of a survey of the publishers' pages: figure and address, and the hash in the name."""
    with (shared / "design" / "zoo_rows.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) == 36
    entries = {entry.address: entry for entry in ZOO.values()}
    for row in rows:
        entry = entries[row["url"]]
        assert entry.published == float(row["mAP"])
        assert entry.sha256 == row["date-sha256[:8]"].partition("-")[2]
        assert row["data"].replace(" ", "").startswith(entry.evaluated_on.replace(" ", ""))
        assert bool(entry.not_runnable) == (row["family"] in ("lfb", "memvit", "tuber"))


def test_a_row_describes_the_clips_of_its_config():
    for entry in runnable():
        clip = load_config(entry.config).clip
        offsets = getattr(clip, "frame_offsets", None)
        pairs = itertools.pairwise(offsets or (0, clip.sampling_rate))
        steps = {after - before for before, after in pairs}
        assert (entry.num_frames, {entry.frame_step}) == (clip.num_frames, steps), entry.name
        assert entry.frames_per_second == clip.sampling_fps, entry.name


def test_the_published_figures():
    published = {name: entry.published for name, entry in ZOO.items()}
    assert published["slowfast_r101_nl_32x2_ava21"] == 28.2
    assert published["slowfast_r101_nl_32x2_ava22"] == 29.1
    assert published["slowfast_r101_nl_64x2_ava22"] == 29.4
    assert published["slow_r50_4x16_ava22"] == 19.5
    assert published["slowfast_r50_32x2_ava22_ptv"] == 24.67
    assert published["slowonly_r50_16x4_tricks_avak_mm"] == 31.29
    assert published["umt_vit_l_ava22"] == 39.8
    assert published["videomae_ad_vit_b_ava22"] == 31.8
    assert ZOO["umt_vit_b_ava22"].figure == "33.5 frame-mAP on AVA 2.2"
    # Trained on AVA-Kinetics, measured on AVA.
    assert ZOO["videomae_vit_b_avak_mm"].figure == "33.6 frame-mAP on AVA 2.2"
    assert ZOO["slow_r50_8x8_k400"].figure == "74.8 top-1, 30 views on K400"


def test_the_best_come_first_and_detectors_before_classifiers():
    entries = best_first()
    assert sorted(entry.name for entry in entries) == sorted(ZOO)
    assert entries[0].name == "umt_vit_l_ava22"
    kinds = [entry.is_detector for entry in entries]
    assert kinds == sorted(kinds, reverse=True)
    for kind in (True, False):
        figures = [entry.published or 0 for entry in entries if entry.is_detector == kind]
        assert figures == sorted(figures, reverse=True)


def test_licences_of_code_and_weights_are_told_apart():
    assert ZOO["slowfast_r101_nl_32x2_ava22"].licences == "code Apache-2.0, weights none stated"
    assert ZOO["umt_vit_l_ava22"].licences == "code MIT, weights none stated"
    assert ZOO["videomae_vit_l_avak_mm"].licences == (
        "code Apache-2.0, weights Apache-2.0 (the project's), started from weights under CC-BY-NC-4.0; not for "
        "commercial use"
    )
    uses = {entry.name: entry.commercial_use for entry in ZOO.values()}
    assert {name for name in uses if name.startswith(("videomae", "memvit"))} == {n for n in uses if uses[n] == "no"}
    assert uses["slowonly_r50_16x4_tricks_avak_mm"] == "yes"
    assert uses["umt_vit_b_ava22"] == uses["slowfast_r50_32x2_ava22_ptv"] == uses["tuber_csn50_ava21"] == "unclear"


@pytest.mark.parametrize("entry", [entry for entry in ZOO.values() if entry.not_runnable], ids=lambda entry: entry.name)
def test_asking_for_one_that_is_not_runnable_gives_a_sentence(entry, cache):
    assert listed_entry(entry.name) == entry
    for ask in (find_entry, resolve):
        with pytest.raises(WeightsError) as caught:
            ask(entry.name)
        assert str(caught.value) == (
            f"{entry.name} ({entry.figure}, {entry.source}) is not runnable here: {entry.not_runnable}; `ava-detect "
            "weights recommend` names one that is"
        )
    assert not cache.exists()


def test_each_device_has_a_default_with_a_reason():
    for device in DEVICES:
        entry = default_for(device)
        assert default_reason(entry.name).startswith(f"for {DEVICES[device]}: ")
        assert entry.published and entry.is_detector and not entry.not_runnable
        assert load_config(entry.config).model.task == "detection"
    assert [name for name in ZOO if default_reason(name)] == [default_for("cuda").name, default_for("cpu").name]


def test_the_recommended_weights_are_the_best_that_are_allowed():
    best = recommend("cuda")
    assert best.entry.name == "umt_vit_l_ava22"
    assert re.match(
        r"39\.8 frame-mAP on AVA 2\.2 \(quoted; AlphAction's copy .* multiplied into each score\), the best of \d\d "
        r"checkpoints; code MIT, weights none stated; ask their authors before commercial use; the authors moved",
        best.reason,
    )
    for device in DEVICES:
        for commercial in (False, True):
            found = recommend(device, commercial=commercial)
            assert not found.entry.not_runnable and found.entry.evaluated_on == "AVA 2.2"
            assert found.entry.published >= default_for(device).published
            assert found.entry.commercial_use == "yes" or not commercial
            better = [e for e in runnable() if e.is_detector and e.published > found.entry.published]
            assert all(
                e.evaluated_on != "AVA 2.2"
                or (commercial and e.commercial_use != "yes")
                or (device == "cpu" and e.gflops > 300)
                for e in better
            )
    reason = recommend("cuda", commercial=True).reason
    assert "with licences that clearly allow commercial use; code Apache-2.0" in reason
    assert "checkpoints small enough for a CPU (at most 300 GFLOP a clip); " in recommend("cpu").reason
    with pytest.raises(ConfigError, match="`device` is cpu or cuda, got 'gpu'"):
        recommend("gpu")


def test_the_costs_are_those_of_the_networks():
    assert set(COSTS) == set(config_names())
    for config in ("slowfast_r50_32x2_c2", "slowfast_r101_nl_32x2", "slow_r50_4x16_c2", "umt_vit_b", "mmaction2_vit_b"):
        num_bytes = 4 * sum(math.prod(shape) for shape in tensor_shapes(load_config(config)).values())
        assert COSTS[config].megabytes == round(num_bytes / 1e6)
    assert COSTS["slowfast_r50_32x2_c2"].parameters == 33_828_888  # as PySlowFast counts them
    for name, cost in COSTS.items():
        if not load_config(name).model.backbone.model_dump().get("nonlocal_blocks"):  # which the estimate leaves out
            assert cost.megabytes == pytest.approx(weight_bytes(load_config(name)) / 1e6, rel=0.15), name
    for entry in runnable():
        cost = COSTS[entry.config]
        assert (entry.about_megabytes, entry.parameters, entry.gflops) == (cost.megabytes, cost.parameters, cost.gflops)


def test_the_config_of_a_file_by_its_published_name():
    for entry in runnable():
        file = entry.address.rpartition("/")[2]
        assert entry.is_start or entry.config in configs_of_file_name(file)
        assert entry.is_start or entry.config in configs_of_file_name(f"{entry.name}.pth")
    # Another date and hash of the same training.
    name = "slowfast_kinetics400-pretrained-r50-context_8xb16-4x16x1-20e_ava21-rgb_20240101-01234567.pth"
    assert configs_of_file_name(name) == {"mmaction2_slowfast_r50_4x16_context"}
    assert configs_of_file_name("mine.pth") == frozenset()


@pytest.mark.parametrize("task", ["detection", "classification"])
def test_the_tables_of_the_configs_are_those_of_the_zoo(task):
    """Each config has its row, with the figures of the zoo and the costs in ``zoo_data/``."""
    readme = (resource_dir("configs") / "README.md").read_text()
    assert table(task) in readme
    for name in config_names():
        line = next(line for line in readme.splitlines() if line.startswith(f"| `{name}` |"))
        quoted = dict(re.findall(r"`(\w+)` \((?:[\w .]+: )?([\d.]+)\)", line.split("|")[3]))
        entries = {e.name: f"{e.published:g}" for e in runnable() if e.config == name and not e.is_start}
        assert quoted == entries


def test_every_detection_config_was_measured():
    for name, cost in COSTS.items():
        is_detector = load_config(name).model.task == "detection"
        assert (cost.milliseconds is not None, cost.peak_megabytes is not None) == (is_detector, is_detector)
