"""How many calls lie between the command and the network."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import pytest
import torch
from networks import small_config_file
from videos import constant_rate, write_numbered_video

import ava_detect
from ava_detect.cli import main
from ava_detect.models.action_detector import ActionDetector

PACKAGE = str(Path(ava_detect.__file__).parent)
MAX_CALLS = 10


def test_few_calls_lead_from_the_command_to_the_network(tmp_path, monkeypatch):
    """Frames of this package from ``main`` to ``ActionDetector.forward``: eager, with one thread."""
    stacks: list[list[str]] = []
    forward = ActionDetector.forward

    def recording(self, clip, rois):
        stacks.append([frame.function for frame in inspect.stack() if frame.filename.startswith(PACKAGE)])
        return forward(self, clip, rois)

    video = write_numbered_video(tmp_path / "video.mp4", constant_rate(20, 10), rate=10)
    (tmp_path / "boxes.csv").write_text("video,0,0.1,0.1,0.9,0.9,,1\n")
    monkeypatch.setattr(ActionDetector, "forward", recording)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    arguments = ["annotate", video, "--out", tmp_path / "out", "--config", small_config_file(tmp_path)]
    arguments += ["--weights", "random", "--boxes", tmp_path / "boxes.csv", "--execution", "eager", "--quiet"]
    monkeypatch.setattr(sys, "argv", ["ava-detect", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    (calls,) = stacks
    between = calls[: calls.index("main")]
    # ``forward`` itself was replaced by a function of this file, which is one more call.
    assert 1 + len(between) <= MAX_CALLS, between[::-1]
