"""The fused form of a network against its plain definition."""

from __future__ import annotations

import itertools
import platform
import weakref
from dataclasses import dataclass

import pytest
import torch
from networks import enliven
from tolerances import BF16_LOGITS, BF16_SCORES, FP32_FEATURES, FP32_LOGITS, GPU_LOGITS, relative_to_largest
from torch import nn

from ava_detect.config import Config, SlowFastConfig, load_config
from ava_detect.config.build import build_backbone, build_model
from ava_detect.environment import resource_dir
from ava_detect.errors import ConfigError
from ava_detect.models.action_detector import ActionClassifier
from ava_detect.models.blocks import ConvBN
from ava_detect.models.execution import prepare
from ava_detect.models.fused import backbone as fused_backbone
from ava_detect.models.fused import conv as fused_conv
from ava_detect.models.fused import vit as fused_vit
from ava_detect.models.fused.backbone import FusedSlowFast
from ava_detect.models.fused.conv import FusedConv, folded, has_fused_ops, rounded
from ava_detect.models.fused.vit import FusedViT
from ava_detect.models.slowfast import SlowFast
from ava_detect.models.vit import VisionTransformer

CONFIGS = sorted(path.stem for path in resource_dir("configs").glob("*.yaml"))
# A quarter of the width is built and run in a tenth of the time; these have each kind of wide layer.
FULL_WIDTH = {"slowfast_r50_32x2", "slowfast_r101_nl_32x2", "mmaction2_slowonly_r50_nl_4x16"}
SMALL = {"depths": (2, 1, 2, 1), "width": 16}
CPU = torch.device("cpu")
on_x86 = pytest.mark.skipif(not has_fused_ops(CPU, torch.float32), reason="this CPU or PyTorch has no fused operations")


@dataclass(frozen=True)
class Case:
    clip: torch.Tensor
    rois: torch.Tensor | None

    @property
    def inputs(self) -> tuple[torch.Tensor, ...]:
        return (self.clip,) if self.rois is None else (self.clip, self.rois)


def case_for(model: nn.Module, *, height: int = 40, width: int = 56, batch: int = 2) -> Case:
    # A ViT reads clips of one length only.
    frames = model.clip_settings.num_frames if isinstance(model.backbone, VisionTransformer) else 16
    clip = torch.randn(batch, 3, frames, height, width)
    rois = torch.tensor([[0, 1, 2, 20, 39], [batch - 1, 10, 0, 55, 30], [batch - 1, 0, 0, 56, 40]], dtype=torch.float32)
    return Case(clip, None if isinstance(model, ActionClassifier) else rois)


def assert_same(model: nn.Module, case: Case) -> None:
    with torch.inference_mode():
        expected = model(*case.inputs)
        got = prepare(model, execution="fused")(*case.inputs)
    assert got.dtype == torch.float32
    assert expected.std() > 1e-3, "a network that answers nothing proves nothing"
    # The logits of some heads with random weights are above 1.
    torch.testing.assert_close(got, expected, rtol=0, atol=FP32_LOGITS * max(1.0, expected.abs().max().item()))


def test_every_config_gives_the_logits_of_its_definition():
    seen = set()
    for name in CONFIGS:
        config = load_config(name)
        # Execution prepares the backbone: one config of each is enough.
        network = (config.model.task, config.model.backbone.model_dump_json())
        if network in seen:
            continue
        seen.add(network)
        torch.manual_seed(0)
        if config.model.backbone.kind == "vit":
            # All blocks of a ViT are alike.
            config = load_config(name, ["model.backbone.depth=2"])
        elif name not in FULL_WIDTH:
            config = load_config(name, ["model.backbone.width=16"])
        model = enliven(build_model(config))
        if isinstance(model, ActionClassifier):
            # Its pool has the size of the training crop; 4 frames a second pathway are enough here.
            model.head.pool_sizes = [None for _ in model.head.pool_sizes]
        try:
            assert_same(model, case_for(model, batch=1))
        except AssertionError as error:
            error.add_note(f"config {name}")
            raise
    assert len(seen) >= 15


@pytest.mark.parametrize(
    "changes",
    [
        {"lateral_kind": "sample"},
        {"lateral_kind": "sample", "lateral_merge": "sum"},
        {"lateral_kind": "time_to_channel"},
        {"lateral_kind": "time_to_channel", "lateral_merge": "sum", "beta_inv": 4},
        {"lateral_merge": "sum"},
        {"lateral_merge": "sum", "fusion_ratio": 8, "lateral_norm": False},
        {"nonlocal_blocks": {"slow": {2: [0, 1]}, "fast": {4: [1]}}, "nonlocal_affinity": "softmax"},
        {"nonlocal_blocks": {"slow": {2: [0]}}, "nonlocal_groups": {"slow": {2: 2}}},
        {"nonlocal_blocks": {"slow": {3: [0]}}, "nonlocal_pool": {"slow": {3: [2, 2, 2]}}},
        {"nonlocal_blocks": {"slow": {3: [0]}}, "nonlocal_pool": {"slow": {3: [1, 1, 1]}}},
        {
            "nonlocal_blocks": {"slow": {3: [0]}, "fast": {2: [0]}},
            "nonlocal_affinity": "softmax",
            "nonlocal_pool_place": "after",
            "nonlocal_out_bias": False,
        },
        {
            "nonlocal_blocks": {"slow": {3: [0]}},
            "nonlocal_pool": {"slow": {3: [2, 2, 2]}},
            "nonlocal_groups": {"slow": {3: 2}},
            "nonlocal_pool_place": "after",
        },
        {"temporal_kernels": {"slow": (3, 3, 1, 1, 3), "fast": (7, 5, 3, 3, 1)}},
        {"pathways": ("slow",), "alpha": 1, "temporal_kernels": (1, 1, 1, 3, 3)},
        {"dilations": {"slow": (1, 1, 1, 2), "fast": (2, 1, 1, 1)}, "strides": (1, 1, 2, 2)},
        {"slow_frames": "stride", "alpha": 8},
    ],
    ids=str,
)
def test_every_choice_of_the_constructor(changes):
    backbone = enliven(build_backbone(SlowFastConfig(**{**SMALL, **changes})))
    clip = torch.randn(2, 3, 16, 50, 70)
    with torch.inference_mode():
        expected, got = backbone(clip), FusedSlowFast(backbone)(clip)
    for theirs, ours in zip(expected, got, strict=True):
        torch.testing.assert_close(ours, theirs, **relative_to_largest(theirs, FP32_FEATURES))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tubelet": 1, "grid": (4, 3, 5)},
        {"borders": "crop", "positions": "stored"},
        {"patch": 8, "heads": 1},
        {"mlp_ratio": 2, "depth": 1},
    ],
    ids=str,
)
def test_every_choice_of_a_vit(changes):
    """One prepared network at several sizes: the positions that it keeps from one must not serve another."""
    torch.manual_seed(0)
    backbone = enliven(VisionTransformer(**{"width": 24, "depth": 3, "heads": 4, "grid": (4, 3, 3), **changes}))
    fused = FusedViT(backbone)
    num_frames = backbone.grid[0] * backbone.tubelet
    with torch.inference_mode():
        for batch, height, width in [(2, 50, 70), (1, 48, 48), (1, 17, 90), (2, 50, 70)]:
            clip = torch.randn(batch, 3, num_frames, height, width)
            (theirs,), (ours,) = backbone(clip), fused(clip)
            torch.testing.assert_close(ours, theirs, **relative_to_largest(theirs, FP32_FEATURES))


def test_a_fused_vit_keeps_the_positions_of_few_sizes():
    backbone = enliven(VisionTransformer(width=8, depth=1, heads=1, patch=4, grid=(1, 2, 2)))
    fused = FusedViT(backbone)
    clip = torch.randn(1, 3, 2, 8, 8)
    with torch.inference_mode():
        before = fused(clip)[0].clone()
        for side in range(4, 100, 4):
            fused(torch.randn(1, 3, 2, 4, side))
        assert torch.equal(fused(clip)[0], before)
    assert len(fused._positions) <= 8


def test_an_unknown_backbone_runs_as_it_is_defined():
    model = build_model("demo")
    model.backbone.__class__ = type("Own", (SlowFast,), {})
    case = case_for(model)
    assert prepare(model).execution == "eager"
    with torch.inference_mode():
        assert torch.equal(prepare(model)(*case.inputs), model(*case.inputs))
    with pytest.raises(
        ConfigError, match=r"knows the backbones SlowFast, VisionTransformer, got Own; use `execution=eager`"
    ):
        prepare(model, execution="fused")


@pytest.mark.parametrize(("frames", "height", "width"), [(8, 32, 32), (12, 33, 97), (4, 64, 48), (20, 17, 19)])
def test_any_size_and_length_one_after_the_other(frames, height, width):
    """One prepared network serves all sizes: what it keeps from a first one must not spoil the next."""
    backbone = enliven(SlowFast(**SMALL))
    fused = FusedSlowFast(backbone)
    with torch.inference_mode():
        for shape in [(1, 3, 8, 40, 40), (2, 3, frames, height, width), (1, 3, 8, 40, 40)]:
            clip = torch.randn(shape)
            for theirs, ours in zip(backbone(clip), fused(clip), strict=True):
                torch.testing.assert_close(ours, theirs, **relative_to_largest(theirs, FP32_FEATURES))


@pytest.mark.parametrize("positions", [1, 700, 10**9])
@pytest.mark.parametrize("changes", [{}, {"lateral_merge": "sum"}, {"lateral_kind": "sample"}, {"alpha": 8}], ids=str)
def test_frames_are_independent_until_the_first_block_that_looks_across_time(monkeypatch, positions, changes):
    """One frame at a time, some of them with a smaller last part, and all: the same features."""
    monkeypatch.setattr(fused_backbone, "_POSITIONS_AT_ONCE", positions)
    backbone = enliven(build_backbone(SlowFastConfig(**{**SMALL, **changes})))
    fused = FusedSlowFast(backbone)
    assert (len(fused._spatial_stages), len(fused._later_stages)) == (2, 2)
    clip = torch.randn(2, 3, 16, 50, 70)
    with torch.inference_mode():
        for theirs, ours in zip(backbone(clip), fused(clip), strict=True):
            torch.testing.assert_close(ours, theirs, **relative_to_largest(theirs, FP32_FEATURES))


@pytest.mark.parametrize(
    ("changes", "num_spatial"),
    [
        ({"temporal_kernels": {"slow": (1, 1, 1, 1, 1), "fast": (5, 3, 3, 3, 3)}}, 4),
        ({"temporal_kernels": {"slow": (3, 3, 1, 1, 3), "fast": (7, 5, 3, 3, 1)}}, 0),
        ({"nonlocal_blocks": {"slow": {3: [0]}}}, 1),
    ],
    ids=str,
)
def test_which_stages_compute_each_frame_by_itself(changes, num_spatial):
    backbone = enliven(build_backbone(SlowFastConfig(**{**SMALL, **changes})))
    fused = FusedSlowFast(backbone)
    assert len(fused._spatial_stages) == num_spatial
    clip = torch.randn(1, 3, 8, 33, 40)
    with torch.inference_mode():
        for theirs, ours in zip(backbone(clip), fused(clip), strict=True):
            torch.testing.assert_close(ours, theirs, **relative_to_largest(theirs, FP32_FEATURES))


@on_x86
@pytest.mark.parametrize(("num_frames", "num_products"), [(16, 6), (32, 10)])
def test_convolutions_in_time_are_prepared_for_the_networks_own_clips(num_frames, num_products):
    """Four slow frames are a tile of 6 products, eight one of 10 (``fused/winograd.py``)."""
    settings = {"model": {"backbone": {"depths": [1, 1, 1, 1]}}, "clip": {"num_frames": num_frames}}
    fused = prepare(build_model(Config.model_validate(settings)), execution="fused")._fused
    assert isinstance(fused, FusedSlowFast)
    assert fused._later_stages[-1][0]._a._conv._filtering.num_products == num_products


def test_weights_that_were_ordered_before_give_the_same_bits():
    model = enliven(build_model("demo"))
    case = case_for(model)
    at_first_call, before = prepare(model), prepare(model)
    before.order_weights(16, (64, 114))
    assert torch.equal(before(*case.inputs), at_first_call(*case.inputs))


@on_x86
def test_sizes_whose_kernels_read_the_same_order_share_the_weights():
    conv = FusedConv(torch.rand(64, 64, 1, 1), torch.zeros(64), stride=(1, 1), padding=(0, 0), dilation=(1, 1))
    sizes = [torch.Size((8, 64, height, height)) for height in (16, 32, 16, 57)]
    orders = [conv._weight_for(size) for size in sizes]
    assert orders[0] is orders[2]
    assert len({id(order) for order in orders}) == len({fused_conv._order_of(order) for order in orders})


@on_x86
def test_however_many_orders_there_are_few_copies_are_kept(monkeypatch):
    """As where oneDNN describes memory otherwise, and each size would seem to have an order of its own."""
    numbers = itertools.count()
    monkeypatch.setattr(fused_conv, "_order_of", lambda weight: bytes(str(next(numbers)), "ascii"))
    weight, maps = torch.rand(64, 64, 1, 1), [torch.rand(2, 64, side, side) for side in range(8, 18)]
    conv = FusedConv(weight, torch.zeros(64), stride=(1, 1), padding=(0, 0), dilation=(1, 1))
    for one in maps:
        one = one.contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(conv(one, relu=False), torch.nn.functional.conv2d(one, weight), rtol=1e-4, atol=1e-4)
    assert len({id(conv._weight_for(one.shape)) for one in maps}) == fused_conv._MOST_ORDERS


def test_the_clip_is_left_as_it_was_and_the_same_clip_gives_the_same_answer():
    model = enliven(build_model(Config.model_validate({"model": {"backbone": {"depths": [1, 1, 1, 1], "width": 16}}})))
    case = case_for(model)
    before, prepared = case.clip.clone(), prepare(model, execution="fused")
    first, second = prepared(*case.inputs), prepared(*case.inputs)
    assert torch.equal(first, second)
    assert torch.equal(case.clip, before)


@pytest.mark.parametrize("config", ["demo", "umt_vit_b"])
def test_a_consumed_clip_is_freed_before_the_blocks(config, monkeypatch):
    settings = load_config(config).model_dump()
    if config == "umt_vit_b":
        settings["model"]["backbone"] |= {"depth": 1, "width": 48, "heads": 3}
    model = enliven(build_model(Config.model_validate(settings)))
    case, prepared = case_for(model), prepare(model, execution="fused")
    pixels = case.clip.numpy().copy()
    clip, alive, seen = [torch.from_numpy(pixels)], weakref.ref(pixels), []
    del pixels
    block = fused_backbone._Bottleneck if config == "demo" else fused_vit._FusedBlock
    name = "__call__" if config == "demo" else "add_to"
    compute = getattr(block, name)
    monkeypatch.setattr(block, name, lambda *arguments: (seen.append(alive() is None), compute(*arguments))[1])
    assert torch.equal(prepared.consume(clip, case.rois), prepared(*case.inputs))
    assert seen[0]


def test_without_the_fused_operations_the_form_is_the_same(monkeypatch):
    monkeypatch.setattr(fused_conv, "has_fused_ops", lambda device, dtype: False)
    for changes in ({}, {"lateral_merge": "sum"}, {"nonlocal_blocks": {"slow": {3: [0]}}}):
        backbone = enliven(build_backbone(SlowFastConfig(**{**SMALL, **changes})))
        clip = torch.randn(1, 3, 8, 40, 48)
        with torch.inference_mode():
            for theirs, ours in zip(backbone(clip), FusedSlowFast(backbone)(clip), strict=True):
                torch.testing.assert_close(ours, theirs, **relative_to_largest(theirs, FP32_FEATURES))


def test_folding_by_hand():
    """2 x, then norm: mean 3, variance 4 (eps 0), weight 10, bias 1: (2 x - 3) / 2 * 10 + 1 = 10 x - 14."""
    module = ConvBN(1, 1, (1, 1, 1)).eval()
    module.bn.eps = 0
    with torch.no_grad():
        module.conv.weight.fill_(2)
        module.bn.running_mean.fill_(3)
        module.bn.running_var.fill_(4)
        module.bn.weight.fill_(10)
        module.bn.bias.fill_(1)
    weight, scale, bias = folded(module.conv, module.bn)
    assert (rounded(weight[:, :, 0], scale, torch.float32).item(), bias.item()) == (10, -14)


@pytest.mark.parametrize("relu", [True, False])
def test_a_convolution_and_its_sum_by_hand(relu):
    conv = FusedConv(
        torch.full((1, 1, 1, 1), 2.0),
        torch.tensor([-3.0]),
        stride=(1, 1),
        padding=(0, 0),
        dilation=(1, 1),
    )
    maps = torch.tensor([1.0, 2.0, 3.0]).view(1, 1, 1, 3)
    total = torch.tensor([10.0, -5.0, 0.0]).view(1, 1, 1, 3)
    with torch.inference_mode():
        alone = conv(maps, relu=relu).flatten().tolist()
        summed = conv.add_to(total, maps, relu=relu)
    assert alone == ([0, 1, 3] if relu else [-1, 1, 3])
    assert summed.flatten().tolist() == total.flatten().tolist() == ([9, 0, 3] if relu else [9, -4, 3])


@pytest.mark.bf16
@pytest.mark.parametrize("execution", ["eager", "fused"])
def test_bf16_is_near_and_is_used(execution):
    model = enliven(build_model("demo"))
    case = case_for(model)
    with torch.inference_mode():
        exact = model(*case.inputs).sigmoid()
    rough = prepare(model, execution=execution, precision="bf16")(*case.inputs)
    assert rough.dtype == torch.float32
    assert 0 < (rough.sigmoid() - exact).abs().max() < BF16_SCORES


@pytest.mark.bf16
def test_a_classifier_in_bf16():
    small = {"depths": [1, 1, 1, 1], "width": 8}
    model = enliven(build_model(Config.model_validate({"model": {"task": "classification", "backbone": small}})))
    model.head.pool_sizes = [None, None]
    clip = torch.randn(2, 3, 8, 40, 40)
    with torch.inference_mode():
        exact = model(clip)
    torch.testing.assert_close(
        prepare(model, execution="fused", precision="bf16")(clip), exact, rtol=0, atol=BF16_LOGITS
    )


def test_groups_that_do_not_fit_are_refused_as_by_the_definition():
    backbone = build_backbone(
        SlowFastConfig(**SMALL, nonlocal_blocks={"slow": {2: [0]}}, nonlocal_groups={"slow": {2: 3}})
    ).eval()
    with pytest.raises(ValueError, match="4 frames do not divide into 3 groups"):
        FusedSlowFast(backbone)(torch.randn(1, 3, 16, 32, 32))


@on_x86
def test_auto_is_fused_on_x86_and_eager_elsewhere(monkeypatch):
    model = build_model("demo")
    assert prepare(model).execution == "fused"
    assert prepare(nn.Identity()).execution == "eager"
    assert prepare(model, execution="eager").execution == "eager"
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert prepare(model).execution == "eager"


@on_x86
def test_auto_is_eager_where_onednn_is_switched_off():
    with torch.backends.mkldnn.flags(enabled=False):
        assert prepare(build_model("demo")).execution == "eager"


@pytest.mark.gpu
def test_the_fused_form_runs_on_a_gpu():
    model = enliven(build_model("demo"))
    case = case_for(model)
    with torch.inference_mode():
        expected = model(*case.inputs)
    prepared = prepare(model.cuda(), execution="fused", device="cuda")
    torch.testing.assert_close(prepared(case.clip.cuda(), case.rois.cuda()).cpu(), expected, rtol=0, atol=GPU_LOGITS)
