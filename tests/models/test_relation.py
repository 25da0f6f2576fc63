"""ACRN's relation: a person's features joined with every place of the map, written out without any short cut."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from ava_detect.config import Config
from ava_detect.config.build import build_model
from ava_detect.models import relation as relation_module
from ava_detect.models.relation import ActorRelation

CLIPS = torch.tensor([1, 0, 1, 1])


def lively(relation: ActorRelation) -> ActorRelation:
    """The relation in float64, with weights and statistics that all count."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, value in relation.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 2, generator=generator)
            elif value.is_floating_point():
                value.normal_(0, 0.5, generator=generator)
    return relation.eval().double()


def inputs(*, actors: int = 5, channels: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    actor = torch.randn(len(CLIPS), actors, generator=generator, dtype=torch.float64)
    return actor, torch.randn(2, channels, 5, 6, generator=generator, dtype=torch.float64)


def written_out(relation: ActorRelation, actor: Tensor, place: Tensor, stride: int) -> Tensor:
    """The result ``[O]`` for one person ``[P]`` and the map ``[C, H, W]``: joined first, then convolved."""
    state = relation.state_dict()
    joined = torch.cat([actor[:, None, None].expand(-1, *place.shape[1:]), place])[None]  # [1, P + C, H, W]
    names = ["conv1", "conv2", *(f"convs.{i}" for i in range(len(relation.convs)))]
    for name in names:
        weight = state[f"{name}.conv.weight"][:, :, 0]  # [O, I, h, w]
        step = stride if name == "conv2" else 1
        joined = functional.conv2d(joined, weight, stride=step, padding=weight.shape[2] // 2)
        mean, variance, scale, shift = (
            state[f"{name}.bn.{leaf}"][:, None, None] for leaf in ("running_mean", "running_var", "weight", "bias")
        )
        joined = ((joined - mean) / (variance + 1e-5).sqrt() * scale + shift).clamp(min=0)
    return joined[0].flatten(1).max(dim=1).values


@pytest.mark.parametrize(("num_convs", "stride"), [(1, 1), (3, 1), (2, 2)])
def test_it_is_the_joined_channels_convolved(num_convs, stride):
    relation = lively(ActorRelation(5, 3, 7, num_convs=num_convs, stride=stride))
    actors, maps = inputs()
    with torch.inference_mode():
        got = relation(actors, maps, CLIPS)
        expected = torch.stack([written_out(relation, a, maps[c], stride) for a, c in zip(actors, CLIPS, strict=True)])
    assert got.shape == (4, 7)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)


def test_many_people_are_related_in_parts_with_the_same_numbers(monkeypatch):
    relation = lively(ActorRelation(5, 3, 7))
    with torch.inference_mode():
        together = relation(*inputs(), CLIPS)
        monkeypatch.setattr(relation_module, "_PEOPLE_AT_ONCE", 3)
        torch.testing.assert_close(relation(*inputs(), CLIPS), together, rtol=0, atol=1e-12)


def test_in_training_the_statistics_are_of_all_people(monkeypatch):
    relation = lively(ActorRelation(5, 3, 7)).train()
    together = relation(*inputs(), CLIPS)
    monkeypatch.setattr(relation_module, "_PEOPLE_AT_ONCE", 3)
    torch.testing.assert_close(relation(*inputs(), CLIPS), together)


def test_nobody_gives_no_row():
    relation = lively(ActorRelation(5, 3, 7))
    with torch.inference_mode():
        assert relation(inputs()[0][:0], inputs()[1], CLIPS[:0]).shape == (0, 7)


@pytest.mark.parametrize("with_global", [False, True])
@pytest.mark.parametrize(("setting", "length"), [({}, 576), ({"channels": 20, "num_convs": 2}, 20)])
def test_the_config_gives_its_lengths(with_global, setting, length):
    backbone = {"depths": [1, 1, 1, 1], "width": 16}  # 512 and 64 channels
    roi = {"with_global": with_global, "relation": setting}
    model = build_model(Config.model_validate({"model": {"backbone": backbone, "roi": roi}}))
    relation = model.roi_pool.relation
    assert relation.conv1.conv.in_channels == 576 * (3 if with_global else 2)
    assert (relation.out_channels, model.head.projection.in_features) == (length, length)
    assert len(relation.convs) == setting.get("num_convs", 1) - 1
    rois = torch.tensor([[0.0, 3, 4, 50, 60]])
    with torch.inference_mode():
        assert model(torch.randn(1, 3, 32, 64, 64), rois).isfinite().all()
