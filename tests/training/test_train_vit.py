"""Plain ViTs are trained by their families' recipe: a rate per layer, interrupted and resumed, in two processes."""

import csv
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ava_detect.training import loop, train
from ava_detect.training.checkpoint import load_checkpoint

BACKBONE = {"kind": "vit", "width": 48, "depth": 3, "heads": 3, "grid": [4, 2, 2]}
RECIPE = {
    "optimiser": "adamw",
    "learning_rate": 3e-3,
    "weight_decay": 0.05,
    "layer_decay": 0.75,
    "schedule": "cosine",
    "cosine_after_warmup": True,
    "warmup_epochs": 1,
    "warmup_start": 0.0,
    "clip_norm": 5.0,
}


@pytest.fixture(scope="module")
def vit_config(small_config, val_split):
    """``vit_config(train={...})``: a tiny ViT with drop path on the small world."""

    def make(drop_path: float = 0.2, data: dict | None = None, **changes: object):
        return small_config(
            model={
                "backbone": BACKBONE | {"drop_path": drop_path},
                "head": {"num_classes": 20, "dropout": 0.0},
            },
            data={"val": val_split, "flip": 0.5, **(data or {})},
            train=RECIPE | {"epochs": 3, "eval_every": 3} | changes,
        )

    return make


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


def test_two_processes_train_a_vit_as_one_does(vit_config, tmp_path):
    from test_train_processes import ACCELERATE, launch

    # Processes drop other paths, so that here none is dropped.
    config = vit_config(drop_path=0.0, ema_decay=0.5, eval_every=0, data={"num_workers": 0})
    train(config, tmp_path / "one")
    launch(ACCELERATE, tmp_path / "run", config, tmp_path / "two")
    pairs = zip(rows_of(tmp_path / "one"), rows_of(tmp_path / "two"), strict=True)
    for row, row_of_two in pairs:
        # Float32 gradients that were summed in another order. AdamW divides them by their size, so that the noise of
        # small ones grows with each step.
        assert float(row_of_two["loss"]) == pytest.approx(float(row["loss"]), rel=1e-4)
        assert float(row_of_two["grad_norm"]) == pytest.approx(float(row["grad_norm"]), rel=1e-3)
    weights, weights_of_two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name, value in weights.items():
        torch.testing.assert_close(weights_of_two[name], value, rtol=0, atol=1e-3, msg=name)
