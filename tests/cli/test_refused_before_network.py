"""A config, an option or a file that is wrong is refused before a network is built, by every command that has one."""

from __future__ import annotations

import json
from types import SimpleNamespace

import psutil
import pytest
from networks import lively_model, save_pyslowfast, small_config_file
from processes import run_python
from videos import constant_rate, write_numbered_video

from ava_detect.models.slowfast import SlowFast

GIB = 1 << 30


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("refused")
    (folder / "videos").mkdir()
    write_numbered_video(folder / "videos" / "one.mp4", constant_rate(40, 30))
    (folder / "truth.csv").write_text("one,0,0.1,0.2,0.6,0.9,12,0\none,1,0.1,0.2,0.6,0.9,14,0\n")
    (folder / "bad.csv").write_text("one,0,0.1,oops,0.6,0.9,12,0\n")
    (folder / "bad.pyth").write_bytes(b"no weights")
    (folder / "bad.pbtxt").write_text("item {")
    (folder / "twice.yaml").write_text("clip: {num_frames: 8}\nclip: {short_side: 32}\n")
    (folder / "nan.yaml").write_text("clip: {std: [.nan, 1, 1]}\n")
    config = small_config_file(folder)
    save_pyslowfast(lively_model(), folder / "good.pyth")
    (folder / "labels.yaml").write_text(f"{config.read_text()}labels: {{map: {folder / 'bad.pbtxt'}}}\n")
    return folder


CONFIGS = {
    "twice": (["--config", "twice.yaml"], "twice.yaml, line 2: the key 'clip' is there twice"),
    "nan": (["--config", "nan.yaml"], "nan.yaml, line 1: clip.std.0: input should be a finite number"),
    "unknown": (["--config", "smal"], "'smal' is neither a config file nor one of the configs"),
}
GONE_WEIGHTS = (["--weights", "gone.pyth"], "gone.pyth")
BAD_WEIGHTS = (["--weights", "bad.pyth"], "bad.pyth")
LABELS = (["--config", "labels.yaml"], "bad.pbtxt")
COMMANDS = {
    "annotate": (
        ["annotate", "videos", "--out", "out", "--config", "small.yaml", "--weights", "good.pyth"],
        {
            **CONFIGS, "gone weights": GONE_WEIGHTS, "bad weights": BAD_WEIGHTS,
            "score": (["--min-person-score", "nan"], "--min-person-score: expected a number from 0 to 1"),
            "engine": (["--engine", "rai"], "did you mean 'ray'?"),
        },
    ),
    "benchmark": (
        ["benchmark", "--out", "out", "--config", "small.yaml", "--weights", "good.pyth", "--videos", "videos",
         "--ground-truth", "truth.csv", "--boxes", "ground-truth"],
        {
            **CONFIGS, "gone weights": GONE_WEIGHTS, "bad weights": BAD_WEIGHTS, "labels": LABELS,
            "gone truth": (["--ground-truth", "gone.csv"], "gone.csv"),
            "bad truth": (["--ground-truth", "bad.csv"], "bad.csv, line 1"),
            "bad boxes": (["--boxes", "bad.csv"], "bad.csv, line 1"),
            "empty boxes": (["--boxes", ""], "--boxes is empty"),
            "bad exclude": (["--exclude", "gone.csv"], "gone.csv"),
            "bad classes": (["--label-map", "bad.pbtxt"], "bad.pbtxt"),
            "scales": (["--scales", "32,32"], "--scales are short sides in pixels, each once"),
            "dialect": (["--dialect", "offical"], "did you mean 'official'?"),
            "memory": (["--clips-per-batch", "1024", "--scales", "4096"], "for 1,024 clips of 8 frames"),
            "set": (["--set", "clip.std=[.nan,1,1]"], "clip.std.0: input should be a finite number, got nan"),
        },
    ),
    "explain": (
        ["explain", "videos/one.mp4", "--at", "1", "--out", "out.png", "--config", "small.yaml",
         "--weights", "good.pyth"],
        {
            **CONFIGS, "gone weights": GONE_WEIGHTS, "bad weights": BAD_WEIGHTS,
            "time": (["--at", "nan"], "--at: expected a number"),
            "person": (["--person", "0"], "--person: expected a whole number from 1"),
        },
    ),
    "export": (
        ["export", "out.onnx", "--config", "small.yaml", "--weights", "good.pyth"],
        {
            **CONFIGS, "gone weights": GONE_WEIGHTS, "bad weights": BAD_WEIGHTS,
            "classifier": (["--config", "kinetics_slow_r50_8x8"], "this config is a classifier"),
        },
    ),
    "train": (
        ["train", "--out", "out", "--config", "small.yaml", "--set", "data.train.annotations=truth.csv",
         "--set", "data.train.videos=videos", "--set", "train.batch_size=2", "--set", "data.num_workers=0"],
        {
            **CONFIGS,
            "gone start": (["--set", "train.initialise=gone.pyth"], "gone.pyth"),
            "bad start": (["--set", "train.initialise=bad.pyth"], "bad.pyth"),
            "bad truth": (["--set", "data.train.annotations=bad.csv"], "bad.csv, line 1"),
            "labels": LABELS,
            "batch": (["--set", "train.batch_size=1000000000"], "train.batch_size: input should be less than or equal"),
            "memory": (["--set", "train.batch_size=65536", "--set", "clip.short_side=1024"], "for 65,536 clips of 8"),
            "epochs": (["--set", "train.epochs=1000000000000"], "train.epochs: input should be less than or equal"),
            "loaders": (["--set", "data.num_workers=256"], "data.num_workers 256 asks for more processes than"),
            "workers": (["--set", "data.num_workers=1000000"], "data.num_workers: input should be less than or equal"),
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("command", "wrong"), [(name, wrong) for name, (_, calls) in COMMANDS.items() for wrong in calls]
)
def test_what_is_wrong_is_refused_before_a_network_is_built(run_cli, work, monkeypatch, command, wrong):
    def build(*args, **kwargs):
        raise AssertionError("a network was built")

    monkeypatch.chdir(work)
    monkeypatch.setattr(SlowFast, "__init__", build)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=16 * GIB, available=8 * GIB))
    right, calls = COMMANDS[command]
    options, message = calls[wrong]
    before = sorted(work.rglob("*"))
    code, out, err = run_cli(*right, *options)
    assert (code, out) == (2, "")
    assert err.startswith("ava-detect: ")
    assert message in err
    assert err.count("\n") == 1
    assert sorted(path for path in work.rglob("*") if path.is_file()) == [path for path in before if path.is_file()]


def test_the_calls_are_right_without_the_wrong_options(run_cli, work, monkeypatch):
    """Else the test above would see other refusals than it means to."""

    def build(*args, **kwargs):
        raise ArithmeticError("a network was built")

    monkeypatch.chdir(work)
    monkeypatch.setattr(SlowFast, "__init__", build)
    for right, _ in COMMANDS.values():
        code, _, err = run_cli(*right)
        assert (code, "ArithmeticError: a network was built" in err) == (70, True), err


WITHOUT_TORCH = """
import json, sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision"):
            raise AssertionError("PyTorch is loaded")

sys.meta_path.insert(0, NoTorch())
from ava_detect.cli.app import main

for arguments in json.loads(sys.argv[1]):
    try:
        main(arguments)
    except SystemExit as ended:
        print(ended.code)
"""


def test_a_wrong_config_or_weights_file_is_refused_without_pytorch(work):
    """PyTorch takes some seconds and several hundred megabytes to load. One process, in which it cannot be loaded."""
    calls = [
        [*COMMANDS[command][0], *options]
        for command in COMMANDS
        for options, _ in (*CONFIGS.values(), *([] if command == "train" else [GONE_WEIGHTS, BAD_WEIGHTS]))
    ]
    calls += [["data", "check", "--config", "twice.yaml"], ["annotate", "videos", "--out", "o", "--min-score", "nan"]]
    done = run_python(WITHOUT_TORCH, json.dumps(calls), cwd=work)
    assert done.stdout.split() == ["2"] * len(calls)
    lines = done.stderr.splitlines()
    assert len(lines) == len(calls)
    assert all(line.startswith("ava-detect: ") for line in lines)
