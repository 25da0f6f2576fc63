"""Plain ViTs are trained by their families' recipe: a rate per layer, interrupted and resumed."""

import csv
from pathlib import Path

import pytest
import torch

from ava_detect.training import loop, train
from ava_detect.training.checkpoint import load_checkpoint


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=pytest.mark.bf16)])
def test_an_interrupted_training_of_a_vit_goes_on_bit_for_bit(vit_config, tmp_path, monkeypatch, precision):
    config = vit_config(precision=precision, ema_decay=0.8, save_every=1, accumulate=2)
    expected = train(config, tmp_path / "undisturbed")
    save = loop.save_checkpoint

    def interrupted(path, state):
        if state["step"] == 4:
            raise KeyboardInterrupt
        save(path, state)

    monkeypatch.setattr(loop, "save_checkpoint", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "out")
    monkeypatch.setattr(loop, "save_checkpoint", save)
    assert load_checkpoint(tmp_path / "out" / "last.pt")["step"] == 3
    resumed = train(config, tmp_path / "out", resume=True)
    assert (resumed.steps, resumed.loss, resumed.score) == (6, expected.loss, expected.score)
    one, other = (load_checkpoint(tmp_path / name / "last.pt") for name in ("undisturbed", "out"))
    for part in ("model", "average"):
        assert all(torch.equal(value, other[part][name]) for name, value in one[part].items())
    assert one["optimiser"]["param_groups"] == other["optimiser"]["param_groups"]
    for index, state in one["optimiser"]["state"].items():
        assert all(torch.equal(value, other["optimiser"]["state"][index][name]) for name, value in state.items())
    # The rates of the patch embedding and of the head, 4 layers apart, at the step after the one that was lost.
    row = rows_of(tmp_path / "out")[3]
    assert float(row["lr_first_layer"]) == pytest.approx(float(row["lr"]) * 0.75**4)


def test_positions_are_no_parameter_and_every_layer_has_its_rate(vit_config, tmp_path):
    train(vit_config(epochs=1, eval_every=0), tmp_path)
    optimiser = load_checkpoint(tmp_path / "last.pt")["optimiser"]
    scales = [group["lr_scale"] for group in optimiser["param_groups"]]
    # Patch embedding, three blocks, norm and head; each with weights that decay and biases and norms that do not.
    assert scales == [0.75**distance for distance in (4, 4, 3, 3, 2, 2, 1, 1, 0, 0)]
    assert [group["weight_decay"] for group in optimiser["param_groups"]] == 5 * [0.05, 0.0]
    # One convolution and its bias; per block 4 matrices, and 4 of the norms, q, v, proj, fc1, fc2; norm and head.
    sizes = [len(group["params"]) for group in optimiser["param_groups"]]
    assert sizes == [1, 1, 4, 9, 4, 9, 4, 9, 1, 3]
