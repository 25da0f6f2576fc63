"""Boxes to regions of interest, by the rule of each code base; the part inside the network is ``tests/models``'s.

"The whole chain" is against AlphAction's own code (UMT and VideoMAE-AD): ``boxrule`` of the reference cases.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fixed_detector import FixedDetector
from hypothesis import given
from hypothesis import strategies as st
from networks import SMALL_CONFIG, lively_model
from videos import constant_rate, write_numbered_video

from ava_detect.inference.gradcam import attention
from ava_detect.inference.pipeline import Pipeline
from ava_detect.inference.scorer import Scorer
from ava_detect.models.roi import RoIPool
from ava_detect.structures import Clip, PersonBoxes
from ava_detect.video.transforms import roi_boxes, short_side_size

# A source of 340x256 at short side 224: 297x224, so x is scaled by 297/340 and y by 224/256.
WIDE = Clip(np.zeros((1, 224, 297, 3), np.uint8), 0.0, 0, source_size=(340, 256))
EXTENSION = (0.1, 0.05)


def in_clip(boxes_in_source, clip):
    width, height = clip.source_size
    return np.asarray(boxes_in_source, np.float64) * ([clip.width / width, clip.height / height] * 2)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        # Both axes by 297/340; then at most 296 and 223.
        (
            "pyslowfast",
            [[0, 0, 339 * 297 / 340, 255 * 297 / 340], [87.352941, 43.676471, 296.126471 - 0.126471, 222.75]],
        ),
        ("alphaction", [[0, 0, 339 * 297 / 340, 255 * 224 / 256], [87.352941, 43.75, 339 * 297 / 340, 223.125]]),
        ("mmaction2", [[0, 0, 297, 224], [87.352941, 43.75, 305.735294, 227.5]]),
    ],
)
def test_each_rule_by_hand(rule, expected):
    # The whole frame, and a box that ends 10 and 4 pixels beyond it.
    boxes = in_clip([[0, 0, 340, 256], [100, 50, 350, 260]], WIDE)
    expected = np.minimum(expected, [296, 223] * 2) if rule == "pyslowfast" else expected
    np.testing.assert_allclose(roi_boxes(boxes, WIDE, rule), expected, atol=2e-5)


def test_a_clip_of_the_videos_own_size_is_only_clipped():
    clip = Clip(np.zeros((1, 48, 64, 3), np.uint8), 0.0, 0)
    boxes = np.array([[-3, -2, 70, 50]], np.float32)
    for rule, expected in (
        ("pyslowfast", [0, 0, 63, 47]),
        ("alphaction", [0, 0, 63, 47]),
        ("mmaction2", [-3, -2, 70, 50]),
    ):
        assert roi_boxes(boxes, clip, rule).tolist() == [expected]


corner = st.floats(-0.25, 1.25, width=32)


@given(
    st.tuples(st.integers(40, 2000), st.integers(40, 2000)),
    st.sampled_from([64, 128]),
    st.lists(st.tuples(corner, corner, corner, corner), max_size=4),
)
def test_alphactions_chain_is_its_formula(size, short_side, corners):
    """``BoxList.clip_to_image``, ``resize``, ``extend`` and ``clip_to_image``, written out for float64."""
    width, height = size
    new_width, new_height = short_side_size(width, height, short_side)
    clip = Clip(np.zeros((1, new_height, new_width, 3), np.uint8), 0.0, 0, source_size=size)
    boxes = np.array([[min(a, c), min(b, d), max(a, c), max(b, d)] for a, b, c, d in corners]).reshape(-1, 4)
    boxes *= [width, height] * 2
    theirs = np.clip(boxes, 0, [width - 1, height - 1] * 2) * ([new_width / width, new_height / height] * 2)
    before = theirs.copy()
    sides = theirs[:, 2:] - theirs[:, :2] + 1
    padding = sides * np.array(EXTENSION) / 2
    theirs = np.clip(
        np.hstack([theirs[:, :2] - padding, theirs[:, 2:] + padding]), 0, [new_width - 1, new_height - 1] * 2
    )
    ours = roi_boxes(in_clip(boxes, clip), clip, "alphaction")
    np.testing.assert_allclose(ours, before, atol=1e-3)
    np.testing.assert_allclose(extended(ours, clip), theirs, atol=1e-3)


def extended(rois, clip):
    pool = RoIPool(box_rule="alphaction", extension=EXTENSION)
    numbered = torch.from_numpy(np.insert(rois, 0, 0, axis=1))
    return pool.extended(numbered, (clip.height, clip.width))[:, 1:].numpy()


@pytest.mark.parametrize("name", ["umt_tiny", "vmad_tiny", "umt_vit_base"])
def test_the_whole_chain_is_that_of_umt_and_videomae(shared, name):
    folder = shared / "cases" / "parity_vit" / name
    given, expected = np.load(folder / "input.npz"), np.load(folder / "expected.npz")["boxrule/extended"]
    boxes, sizes = given["boxrule/boxes"], given["boxrule/sizes_w_h_win_hin"].astype(int)
    assert len(boxes) == len(sizes) == len(expected) >= 10
    for box, (width, height, new_width, new_height), wanted in zip(boxes, sizes, expected, strict=True):
        assert short_side_size(width, height, 256) == (new_width, new_height)
        clip = Clip(np.zeros((1, new_height, new_width, 3), np.uint8), 0.0, 0, source_size=(width, height))
        rois = roi_boxes(in_clip(box[None], clip).astype(np.float32), clip, "alphaction")
        np.testing.assert_allclose(extended(rois, clip)[0], wanted, atol=1e-4)


def model_of(rule):
    roi = {"box_rule": rule} | ({"extension": list(EXTENSION)} if rule == "alphaction" else {})
    return lively_model(model=SMALL_CONFIG["model"] | {"roi": roi}, clip=SMALL_CONFIG["clip"] | {"short_side": 48})


@pytest.mark.parametrize("rule", ["pyslowfast", "alphaction", "mmaction2"])
def test_networks_get_the_boxes_of_their_rule(tmp_path, monkeypatch, rule):
    """From the pipeline, mirrored and not, and from Grad-CAM."""
    video = write_numbered_video(tmp_path / "a.mp4", constant_rate(15, 30), width=170, height=128)  # 63x48
    model = model_of(rule)
    seen = []
    forward = model.roi_pool.forward
    monkeypatch.setattr(
        model.roi_pool,
        "forward",
        lambda maps, rois, size: seen.append(rois[:, 1:].numpy()) or forward(maps, rois, size),
    )
    fractions = np.array([[0.1, 0.2, 0.5, 0.9], [0, 0, 1, 1]])
    detector = FixedDetector(*fractions, needs_images=False)
    assert len(list(Pipeline(detector, Scorer(model, execution="eager", flip=True))(video))) == 1
    clip = Clip(np.zeros((8, 48, 63, 3), np.uint8), 0.0, 4, source_size=(170, 128))
    pixels = (fractions * [63, 48, 63, 48]).astype(np.float32)
    mirrored = np.stack([63 - pixels[:, 2], pixels[:, 1], 63 - pixels[:, 0], pixels[:, 3]], axis=1)
    attention(model, clip, PersonBoxes(pixels, [1, 1]), 1, 0)
    wanted = [roi_boxes(pixels, clip, rule), roi_boxes(mirrored, clip, rule), roi_boxes(pixels[1:], clip, rule)]
    for got, expected in zip(seen, wanted, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-4)
    # The whole frame tells the three rules apart.
    edge = {"pyslowfast": (62, 47), "alphaction": (169 * 63 / 170, 127 * 48 / 128), "mmaction2": (63, 48)}[rule]
    np.testing.assert_allclose(seen[-1][0, 2:], edge, atol=1e-4)
