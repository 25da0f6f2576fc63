"""Attention maps: a network built by hand in which one place and one pathway decide, and exact shares of the logit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import SMALL_CONFIG, lively_model
from torch import Tensor, nn

from ava_detect.errors import AvaDetectError
from ava_detect.inference.gradcam import attention
from ava_detect.models.action_detector import ActionDetector
from ava_detect.models.heads import ProjectionHead
from ava_detect.models.roi import RoIPool
from ava_detect.structures import Clip, ClipSettings, PersonBoxes
from ava_detect.visualization.attention_sheet import attention_sheet

SETTINGS = ClipSettings(num_frames=8, sampling_rate=1, short_side=64, mean=(0, 0, 0), std=(1, 1, 1))


class ColourBackbone(nn.Module):
    """Feature cells are means of 8 x 8 pixels: red in the slow pathway (every fourth frame), green in the fast one."""

    map_names = ("slow", "fast")

    def frames_of_maps(self, num_frames: int) -> list[tuple[int, ...]]:
        return [tuple(range(0, num_frames, 4)), tuple(range(num_frames))]

    def forward(self, clip: Tensor) -> list[Tensor]:
        cells = nn.functional.avg_pool3d(clip, (1, 8, 8))
        return [cells[:, :1, ::4], cells[:, 1:2]]


def colour_model() -> ActionDetector:
    """Column 0 is the box's red, column 1 its green, column 2 both."""
    head = ProjectionHead(2, 3, dropout=0.0)
    with torch.no_grad():
        head.projection.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
        head.projection.bias.fill_(0.25)
    pool = RoIPool(resolution=4, feature_stride=8, aligned=True)
    return ActionDetector(ColourBackbone(), pool, head, SETTINGS).eval()  # type: ignore[arg-type]


@pytest.fixture
def clip() -> Clip:
    """A red patch in cell (row 2, column 5) throughout, a green one in (6, 1) in frames 4 to 7 only."""
    frames = np.zeros((8, 64, 64, 3), np.uint8)
    frames[:, 16:24, 40:48, 0] = 255
    frames[4:, 48:56, 8:16, 1] = 255
    return Clip(frames, 0.0, 4)


EVERYBODY = PersonBoxes(np.array([[0, 0, 64, 64], [0, 32, 32, 64]], np.float32), np.ones(2, np.float32))


def peak(heat: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(heat.argmax(), heat.shape))


def test_the_map_peaks_where_and_when_the_decision_was_made(clip: Clip) -> None:
    red = attention(colour_model(), clip, EVERYBODY, 0, 0)
    slow, fast = red.pathways
    assert peak(slow.heat)[1:] == (2, 5) and slow.frames == (0, 4) and slow.heat.max() == 1
    assert fast.heat.max() == 0 and fast.contribution == 0, "green plays no part in column 0"
    green = attention(colour_model(), clip, EVERYBODY, 0, 1)
    slow, fast = green.pathways
    assert peak(fast.heat)[0] >= 4 and peak(fast.heat)[1:] == (6, 1) and fast.frames == tuple(range(8))
    assert fast.heat[:4].max() == 0 and slow.contribution == 0


def test_another_person_sees_what_lies_in_their_box(clip: Clip) -> None:
    """The second box holds the green patch and not the red one."""
    both = attention(colour_model(), clip, EVERYBODY, 1, 2)
    slow, fast = both.pathways
    assert fast.contribution > 0.05 and slow.contribution == pytest.approx(0)


def test_shares_add_up_to_the_logit(clip: Clip) -> None:
    for column in range(3):
        found = attention(colour_model(), clip, EVERYBODY, 0, column)
        assert found.bias == pytest.approx(0.25, abs=1e-6)
        assert found.score == pytest.approx(1 / (1 + np.exp(-found.logit)))


def test_a_real_network_gives_its_own_logit_and_is_left_alone() -> None:
    model = lively_model()
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (8, 32, 56, 3), dtype=np.uint8)
    clip, people = Clip(frames, 1.0, 4), PersonBoxes([[4, 3, 20, 30], [20, 2, 50, 31]], [0.9, 0.8])
    found = attention(model, clip, people, 1, 7)
    from ava_detect.video.transforms import normalize, roi_boxes

    with torch.no_grad():
        inputs = normalize(frames, model.clip_settings.mean, model.clip_settings.std)[None]
        rois = torch.from_numpy(np.insert(roi_boxes(people.boxes_xyxy, clip), 0, 0, axis=1))
        expected = model(inputs, rois)[1, 7].item()
    assert found.logit == pytest.approx(expected, rel=1e-5)
    assert found.bias == pytest.approx(model.head.projection.bias[7].item(), abs=1e-4)
    assert [p.heat.shape[0] for p in found.pathways] == [2, 8] and not model.training
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("changes", [{"head": {"mlp": True}}, {"roi": {"relation": {"channels": 12}}}], ids=str)
def test_a_logit_by_way_of_hidden_layers_is_explained(changes) -> None:
    """What a map has contributed depends on the map: the gradient passes the ReLUs behind the pooling."""
    model = lively_model(model=changes | {"backbone": SMALL_CONFIG["model"]["backbone"]})
    frames = np.random.default_rng(0).integers(0, 256, (8, 32, 56, 3), dtype=np.uint8)
    clip, people = Clip(frames, 1.0, 4), PersonBoxes([[4, 3, 20, 30], [20, 2, 50, 31]], [0.9, 0.8])
    first, second = (attention(model, clip, people, person, 7) for person in (0, 1))
    for found in (first, second):
        assert all(p.heat.min() >= 0 and p.heat.max() == 1 for p in found.pathways)
        assert any(abs(p.contribution) > 0.01 for p in found.pathways)
    assert any(not np.allclose(a.heat, b.heat) for a, b in zip(first.pathways, second.pathways, strict=True))


def test_the_sheet_shows_every_frame_of_every_pathway(clip: Clip) -> None:
    found = attention(colour_model(), clip, EVERYBODY, 0, 2)
    sheet = attention_sheet(clip, EVERYBODY.boxes_xyxy[0], found.pathways, "both", frame_width=64)
    assert sheet.dtype == np.uint8 and sheet.shape[1] == 8 * (64 + 2) + 2
    # Two pictures of the slow pathway and eight of the fast one, each with a white outline.
    white = (sheet == 255).all(axis=2)
    assert white.sum() > 10 * 4 * 60 * 0.9
    assert repr(found.pathways[0]).startswith("PathwayAttention('slow', heat=[2, 8, 8]")


def test_a_clip_without_people_and_a_column_that_does_not_exist(clip: Clip) -> None:
    with pytest.raises(AvaDetectError, match="there are 2 people, counted from 0, got 2"):
        attention(colour_model(), clip, EVERYBODY, 2, 0)
    with pytest.raises(AvaDetectError, match="the network has 3 score columns, counted from 0, got 3"):
        attention(colour_model(), clip, EVERYBODY, 0, 3)
