"""The plain vision transformer: numbers worked by hand, and each choice of the constructor.

``test_parity.py`` compares whole networks with the peers' own code; here each part is seen by itself.
"""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import FP32_FEATURES, relative_to_largest
from torch.nn import functional

from ava_detect.config import Config
from ava_detect.config.build import build_model
from ava_detect.models.roi import RoIPool
from ava_detect.models.vit import Attention, Block, VisionTransformer, sine_positions

SMALL = {"width": 12, "depth": 2, "heads": 3, "patch": 4, "tubelet": 2, "grid": (2, 3, 4)}


def small(**changes) -> VisionTransformer:
    torch.manual_seed(0)
    backbone = VisionTransformer(**{**SMALL, **changes})
    with torch.no_grad():
        for name, parameter in backbone.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.2)
    return backbone.eval()


def test_the_table_of_positions_by_hand():
    table = sine_positions((1, 2, 2), 4)[0]
    # Places 0..3 in one row; columns 0 and 1 turn by 1 a place, columns 2 and 3 by 1 / 10000 ** (2 / 4) = 0.01.
    for place in range(4):
        expected = [math.sin(place), math.cos(place), math.sin(place / 100), math.cos(place / 100)]
        assert table[place].tolist() == pytest.approx(expected, abs=1e-7)


def test_attention_as_its_formula_says():
    """Heads one by one, with queries, keys and values cut out of the rows of the weight."""
    torch.manual_seed(1)
    attention = Attention(12, 3)
    torch.nn.init.normal_(attention.q_bias)
    torch.nn.init.normal_(attention.v_bias)
    tokens = torch.randn(2, 5, 12)
    weight = attention.qkv.weight
    q = tokens @ weight[:12].T + attention.q_bias
    k = tokens @ weight[12:24].T
    v = tokens @ weight[24:].T + attention.v_bias
    heads = []
    for head in range(3):
        part = slice(4 * head, 4 * head + 4)
        affinity = q[..., part] @ k[..., part].transpose(1, 2) / 2  # 2 = sqrt(12 / 3)
        heads.append(affinity.softmax(dim=-1) @ v[..., part])
    expected = torch.cat(heads, dim=-1) @ attention.proj.weight.T + attention.proj.bias
    torch.testing.assert_close(attention(tokens), expected)


@pytest.mark.parametrize(
    ("borders", "height", "width", "cells"),
    [("pad", 12, 16, (3, 4)), ("pad", 13, 17, (4, 5)), ("pad", 3, 9, (1, 3)), ("crop", 13, 19, (3, 4))],
)
def test_the_map_has_a_cell_per_patch(borders, height, width, cells):
    backbone = small(borders=borders)
    (features,) = backbone(torch.randn(2, 3, 4, height, width))
    assert features.shape == (2, 12, 2, *cells)
    assert (backbone.out_channels, backbone.feature_stride, backbone.map_names) == ([12], 4, ("tokens",))
    assert backbone.frames_of_maps(4) == [(0, 2)]


def test_padding_is_zeros_on_the_right_and_below_and_cropping_leaves_pixels_out():
    clip = torch.randn(1, 3, 4, 13, 18)
    (padded,) = small()(clip)
    (whole,) = small()(functional.pad(clip, (0, 2, 0, 3)))
    assert torch.equal(padded, whole)
    (cropped,) = small(borders="crop")(clip)
    (whole,) = small(borders="crop")(clip[..., :12, :16])
    assert torch.equal(cropped, whole)


def test_positions_of_the_grid_are_the_table_and_other_sizes_are_interpolated_per_time_step():
    backbone = small(positions="stored")
    torch.nn.init.normal_(backbone.positions)
    assert torch.equal(backbone.positions_of(3, 4), backbone.positions)
    other = backbone.positions_of(5, 7).view(2, 35, 12)
    backbone.positions.view(2, 12, 12)[1] = 0
    again = backbone.positions_of(5, 7).view(2, 35, 12)
    assert torch.equal(other[0], again[0])
    assert not again[1].any()


def test_a_stored_table_is_part_of_the_weights_and_a_computed_one_is_not():
    assert "positions" in small(positions="stored").state_dict()
    assert "positions" not in small().state_dict()
    assert not any("positions" in name for name, _ in small(positions="stored").named_parameters())


@settings(max_examples=20, deadline=None)
@given(height=st.integers(4, 30), width=st.integers(4, 30), borders=st.sampled_from(["pad", "crop"]))
def test_a_clip_has_the_same_features_alone_and_beside_others(height, width, borders):
    backbone = small(borders=borders)
    clips = torch.randn(3, 3, 4, height, width)
    with torch.inference_mode():
        (together,) = backbone(clips)
        (alone,) = backbone(clips[1:2])
    torch.testing.assert_close(together[1:2], alone, **relative_to_largest(alone, FP32_FEATURES))


def test_clips_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"for 4 frames \(2 time steps of 2\), and the clip has 6"):
        small()(torch.randn(1, 3, 6, 12, 16))
    with pytest.raises(ValueError, match=r"a clip of 16x3 pixels has no whole patch of 4x4"):
        small(borders="crop")(torch.randn(1, 3, 4, 3, 16))


def test_drop_path_leaves_out_whole_branches_and_keeps_the_mean():
    torch.manual_seed(0)
    block = Block(8, 2, 16, drop_path=0.25)
    tokens = torch.randn(1, 3, 8).expand(4000, 3, 8)
    with torch.no_grad():
        block.eval()
        whole = block(tokens)[0]
        block.train()
        some = block(tokens)
    # Attention and MLP are there or not: four kinds of clips, and some clips are as they came.
    kinds = {tuple(clip.flatten().tolist()) for clip in some}
    assert len(kinds) == 4
    assert tuple(tokens[0].flatten().tolist()) in kinds
    torch.testing.assert_close(some.mean(dim=0), whole, atol=0.1, rtol=0.1)


def test_drop_path_rises_with_depth_and_is_off_in_evaluation():
    backbone = small(depth=5, drop_path=0.4)
    assert [block.drop_path for block in backbone.blocks] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    clip = torch.randn(1, 3, 4, 12, 16)
    assert torch.equal(backbone(clip)[0], small(depth=5)(clip)[0])


def test_layers_of_the_learning_rate():
    backbone = small()
    layers = {name: backbone.layer_of(name) for name, _ in backbone.named_parameters()}
    assert layers["patch_embed.weight"] == 0
    assert (layers["blocks.0.attn.q_bias"], layers["blocks.1.mlp.fc2.weight"]) == (1, 2)
    assert layers["norm.weight"] == backbone.num_layers == 3


def test_boxes_are_extended_by_hand():
    """A box of 20 x 40 counted from edge to edge is 21 x 41; 5 % and 2.5 % of that on each side."""
    pool = RoIPool(box_rule="alphaction", extension=(0.1, 0.05))
    rois = torch.tensor([[0, 30.0, 20, 50, 60], [1, -5, 50, 200, 120], [0, 99, 79, 99, 79]])
    expected = [
        [0, 30 - 1.05, 20 - 1.025, 50 + 1.05, 60 + 1.025],
        # Clipped to 0..99 and 50..79 first: 100 x 30.
        [1, 0, 50 - 0.75, 99, 79],
        [0, 99 - 0.05, 79 - 0.025, 99, 79],
    ]
    torch.testing.assert_close(pool.extended(rois, (80, 100)), torch.tensor(expected))
    assert RoIPool().extended(rois, (80, 100)) is rois


def test_a_detector_with_a_vit_pools_boxes_of_the_unpadded_clip():
    model = detector()
    clip, rois = torch.randn(1, 3, 4, 21, 30), torch.tensor([[0, 3.0, 4, 28, 20.5]])
    with torch.inference_mode():
        got = model(clip, rois)
        extended = model.roi_pool.extended(rois, (21, 30))
        plain = RoIPool(resolution=3, feature_stride=4, aligned=False)
        expected = model.head(plain(model.backbone(clip), extended))
    assert torch.equal(got, expected)


def detector():
    return build_model(
        Config.model_validate(
            {
                "model": {
                    "backbone": {"kind": "vit", **SMALL},
                    "roi": {
                        "resolution": 3,
                        "aligned": False,
                        "box_rule": "alphaction",
                        "extension": [0.1, 0.05],
                    },
                    "head": {"num_classes": 5},
                },
                "clip": {"num_frames": 4, "short_side": 32},
            }
        )
    )
