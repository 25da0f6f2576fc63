"""Where a network runs and in which precision, on processors with and without bf16 arithmetic."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
import torch
from networks import lively_model

from ava_detect.annotation.preflight import NetworkFacts
from ava_detect.annotation.settings import AnnotateSettings
from ava_detect.cli.doctor import examine
from ava_detect.config import load_config
from ava_detect.errors import AvaDetectWarning, ConfigError
from ava_detect.inference.scorer import Scorer
from ava_detect.models import network_options
from ava_detect.models.execution import prepare
from ava_detect.models.network_options import NetworkOptions, bf16_unit


@pytest.fixture
def processor(monkeypatch):
    """Replaces what PyTorch says of this processor."""

    def have(*, amx: bool, avx512: bool, onednn: bool = True, machine: str = "x86_64") -> None:
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: onednn)
        monkeypatch.setattr(network_options.platform, "machine", lambda: machine)

    return have


@pytest.mark.parametrize(
    ("facts", "unit"),
    [
        ({"amx": True, "avx512": True}, "AMX"),
        ({"amx": False, "avx512": True}, "AVX-512 BF16"),
        ({"amx": False, "avx512": False}, ""),  # AVX-512 alone: oneDNN converts
        ({"amx": False, "avx512": False, "onednn": False}, ""),  # AVX2
        ({"amx": True, "avx512": True, "onednn": False}, ""),
        ({"amx": False, "avx512": False, "machine": "aarch64"}, "bf16 instructions"),
        ({"amx": False, "avx512": False, "onednn": False, "machine": "aarch64"}, ""),
    ],
)
def test_the_bf16_arithmetic_of_a_processor(processor, facts, unit):
    processor(**facts)
    assert bf16_unit("cpu") == unit


def test_bf16_is_run_as_fp32_where_it_would_be_emulated_and_that_is_said_once(processor):
    processor(amx=False, avx512=False, onednn=False)
    with pytest.warns(AvaDetectWarning, match="`precision=bf16` does not pay .* this CPU has no bf16") as said:
        options = NetworkOptions(device="cpu", precision="bf16").resolve()
        scorer = Scorer(lively_model(), precision=options.precision)
    assert len(said) == 1
    assert (options.precision, scorer.network.precision) == ("fp32", "fp32")
    with pytest.warns(AvaDetectWarning, match="no bf16 arithmetic"):
        assert prepare(lively_model(), precision="bf16").precision == "fp32"


def test_fast_is_bf16_where_that_is_computed_and_else_fp32_without_a_warning(processor):
    for has_unit, expected in ((True, "bf16"), (False, "fp32")):
        processor(amx=has_unit, avx512=has_unit)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert NetworkOptions(device="cpu", precision="fast").resolve().precision == expected


def test_bf16_is_run_where_it_pays(processor):
    processor(amx=True, avx512=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert NetworkOptions(device="cpu", precision="bf16").resolve().precision == "bf16"


def test_a_run_records_the_precision_that_it_has():
    settings = AnnotateSettings(load_config("demo"), "random", precision="bf16")
    assert NetworkFacts({}, "cpu", "fp32").settings_of(settings).precision == "fp32"
    assert NetworkFacts({}, "cpu", "bf16").settings_of(settings) is settings
    fast = replace(settings, precision="fast")
    assert NetworkFacts({}, "cpu", "bf16").settings_of(fast).precision == "bf16"
    auto = AnnotateSettings(load_config("demo"), "random")
    assert NetworkFacts({}, "cpu", "fp32").settings_of(auto) is auto


@pytest.mark.parametrize(("amx", "words"), [(True, r"bf16 (AMX)"), (False, "fp32 only")])
def test_doctor_says_which_precisions_pay(processor, monkeypatch, amx, words):
    processor(amx=amx, avx512=amx)
    found = {finding.name: finding for finding in examine()}["precisions"]
    assert words in found.detail


@pytest.mark.parametrize("number", [0, -1, 10**9])
def test_a_number_of_clips_that_no_pass_can_have_is_refused(number):
    with pytest.raises(ConfigError, match=f"`clips_per_batch` is from 1 to 1024, got {number}"):
        NetworkOptions(clips_per_batch=number)
    with pytest.raises(ConfigError, match="`clips_per_batch`"):
        Scorer(lively_model(), clips_per_batch=number)
