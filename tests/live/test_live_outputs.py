"""What a live run writes: lines that rotate, events, clips, the order at the end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from concurrency import wait_until
from live_keyframes import LABELS, live_keyframe
from videos import numbered_frame

from ava_detect.errors import ConfigError
from ava_detect.evaluation.calibration import Calibration, ClassCalibration
from ava_detect.evaluation.score_maps import IsotonicMap
from ava_detect.evaluation.thresholds import Thresholds
from ava_detect.evaluation.written_scores import ScoreRules
from ava_detect.formats.jsonl import read_jsonl
from ava_detect.live.clips import ClipOptions
from ava_detect.live.lines import LineFiles
from ava_detect.live.outputs import LiveOutputs
from ava_detect.live.settings import LiveSettings
from ava_detect.video.live.previews import Previews
from ava_detect.video.live.source import LiveSource
from ava_detect.video.live.status import LiveNotice
from ava_detect.video.reader import VideoReader

CAMERA = LiveSource("rtsp://me:hunter2@cam/s", "cam", "stream")
FIGHT, STAND = (0.0, 0.9, 0.0, 0.0), (0.9, 0.0, 0.0, 0.0)


def outputs(settings: LiveSettings, said: list[str] | None = None, **options) -> LiveOutputs:
    return LiveOutputs([CAMERA], settings, LABELS, 1.0, (said if said is not None else []).append, **options)


def values(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_line_is_in_the_file_at_once_and_can_be_read_as_results(tmp_path, capsys):
    with outputs(LiveSettings(tmp_path, scores=ScoreRules(0.5))) as out:
        for second in range(3):
            out.keyframe(live_keyframe(second, {1: STAND}, num_dropped=second))
            assert len(values(tmp_path / "cam.jsonl")) == second + 1
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    rows, events = values(tmp_path / "cam.jsonl"), values(tmp_path / "events.jsonl")
    assert [line for line in printed if "event" not in line] == rows
    assert [line for line in printed if "event" in line] == events
    assert [event["state"] for event in events] == ["begins", "ends"]
    assert rows[2]["num_dropped"] == 2
    assert rows[0]["time"] == "2026-11-30T12:00:00.000Z"
    assert [action["name"] for action in rows[0]["people"][0]["actions"]] == ["stand"]
    read = list(read_jsonl(tmp_path / "cam.jsonl", LABELS))
    assert [keyframe.timestamp_seconds for keyframe in read] == [0.0, 1.0, 2.0]


def test_lines_follow_the_rules_of_annotate_and_events_the_probabilities(tmp_path):
    """Every score is halved; the thresholds and the best two are of what is written."""
    half = IsotonicMap((0.0, 1.0), (0.0, 0.5))
    classes = tuple(ClassCalibration(one.id, one.name, 0.5, half, "class", 9, 9, 9) for one in LABELS)
    rules = ScoreRules(0.1, Thresholds(0.15, {1: None}), 2, Calibration(classes, "isotonic", None, 0.5, 1))
    scores = (0.9, 0.8, 0.7, 0.6)
    with outputs(LiveSettings(tmp_path, print_lines=False, scores=rules, event_score=0.42)) as out:
        out.keyframe(live_keyframe(0, {1: scores, 2: (0.9, 0.2, 0.2, 0.2)}))
    ((first, second),) = (line["people"] for line in values(tmp_path / "cam.jsonl"))
    assert [(action["id"], action["score"]) for action in first["actions"]] == [(2, 0.4), (3, 0.35)]
    assert second["actions"] == []
    assert [event["max_score"] for event in values(tmp_path / "events.jsonl")] == [0.45] * 4


def test_files_rotate_and_those_of_an_earlier_run_are_kept(tmp_path):
    files = LineFiles(tmp_path, ["cam"], max_bytes=200, num_kept=3, inputs={})
    for number in range(40):
        files.write("cam", {"video_id": "cam", "n": number})
    files.__exit__()
    names = sorted(path.name for path in tmp_path.glob("cam*"))
    assert names == ["cam.1.jsonl", "cam.2.jsonl", "cam.3.jsonl", "cam.jsonl"]
    order = ["cam.3.jsonl", "cam.2.jsonl", "cam.1.jsonl", "cam.jsonl"]
    numbers = [line["n"] for name in order for line in values(tmp_path / name)]
    assert numbers == list(range(numbers[0], 40))
    assert all((tmp_path / name).stat().st_size <= 200 for name in names)
    last = values(tmp_path / "cam.jsonl")
    with LineFiles(tmp_path, ["cam"], max_bytes=200, num_kept=3, inputs={}) as again:
        again.write("cam", {"video_id": "cam", "n": 0})
    assert values(tmp_path / "cam.1.jsonl") == last


def test_a_file_of_another_kind_is_not_written_to(tmp_path):
    (tmp_path / "cam.jsonl").write_text("my diary\n")
    with pytest.raises(ConfigError, match="not from an earlier run"):
        outputs(LiveSettings(tmp_path))
    assert (tmp_path / "cam.jsonl").read_text() == "my diary\n"


def test_a_source_cannot_take_the_name_of_the_file_of_events(tmp_path):
    with pytest.raises(ConfigError, match="'events'"):
        LineFiles(tmp_path, ["events"], 1000, 1, {})


def test_a_disk_that_fails_is_told_once_and_ends_nothing(tmp_path, monkeypatch):
    said: list[str] = []
    with outputs(LiveSettings(tmp_path, print_lines=False), said) as out:
        file = out._files._files["cam"]
        write = file.write
        monkeypatch.setattr(file, "write", lambda line: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        for second in range(3):
            out.keyframe(live_keyframe(second, {}))
        monkeypatch.setattr(file, "write", write)
        out.keyframe(live_keyframe(3, {}))
    assert [text for text in said if "No space left" in text] == [text for text in said if "lost" in text]
    assert len([text for text in said if "No space left" in text]) == 1
    assert [line["timestamp_seconds"] for line in values(tmp_path / "cam.jsonl")] == [3.0]


def test_alarms_are_said_and_events_of_a_lost_source_end(tmp_path, monkeypatch):
    monkeypatch.setattr("ava_detect.live.outputs._SECONDS_TO_COME_BACK", 0.01)
    said: list[str] = []
    with outputs(LiveSettings(tmp_path, print_lines=False, when=("fight > 0.6",)), said) as out:
        out.notice(LiveNotice("cam", "connected", "1280x720, h264"))
        out.keyframe(live_keyframe(0, {1: FIGHT}))
        out.notice(LiveNotice("cam", "lost", "no answer"))
        wait_until(lambda: any(line.get("state") == "ends" for line in values(tmp_path / "events.jsonl")))
        kinds = [(line["event"], line["state"]) for line in values(tmp_path / "events.jsonl")]
    assert kinds[:4] == [("source", "connected"), ("action", "begins"), ("alarm", "begins"), ("source", "lost")]
    assert sorted(kinds[4:]) == [("action", "ends"), ("alarm", "ends")]
    assert any("ALARM fight > 0.6: fight/hit (a person) by 1" in text for text in said)
    assert said[0] == "cam: connected, 1280x720, h264"


def test_a_reader_that_ends_after_the_run_changes_nothing(tmp_path):
    """FFmpeg waits for a silent source longer than the run for its thread."""
    said: list[str] = []
    with outputs(LiveSettings(tmp_path, print_lines=False), said) as out:
        out.notice(LiveNotice("cam", "connected", "64x48, h264"))
    before = (tmp_path / "events.jsonl").read_text()
    out.notice(LiveNotice("cam", "ended", "stopped"))
    assert said == ["cam: connected, 64x48, h264"]
    assert (tmp_path / "events.jsonl").read_text() == before


def test_a_source_that_comes_back_soon_ends_no_event(tmp_path):
    with outputs(LiveSettings(tmp_path, print_lines=False)) as out:
        out.keyframe(live_keyframe(0, {1: STAND}))
        out.notice(LiveNotice("cam", "lost", "no answer"))
        out.notice(LiveNotice("cam", "connected", "1280x720, h264"))
        out.keyframe(live_keyframe(2, {1: STAND}))
        states = [line["state"] for line in values(tmp_path / "events.jsonl") if line["event"] == "action"]
    assert states == ["begins"]


class Picture:
    """As much of a decoded frame as previews need."""

    def __init__(self, seconds: float) -> None:
        self.timestamp_seconds = seconds

    def image(self, width: int, height: int) -> np.ndarray:
        return numbered_frame(round(self.timestamp_seconds * 10), width, height)


class Info:
    width, height = 160, 96


def test_previews_keep_the_last_seconds_at_a_few_a_second():
    previews = Previews(2.0, per_second=5)
    for number in range(300):
        previews.add(Picture(number / 30), Info())
    kept = previews.between(0, 100)
    assert kept[0].seconds >= 300 / 30 - 2.0 - 0.2
    assert len(kept) <= 12
    assert previews.at(9.0).seconds <= 9.0 < previews.at(9.0).seconds + 0.2
    assert previews.at(0.0) == kept[0]
    assert previews.newest_seconds == kept[-1].seconds


def test_an_alarm_saves_a_clip_of_the_seconds_around_it(tmp_path):
    previews = Previews(20.0)
    settings = LiveSettings(
        tmp_path, print_lines=False, when=("fight > 0.6",), clips=ClipOptions(tmp_path / "clips", 1.0, 2.0)
    )
    with outputs(settings) as out:
        out.save_clips("cam", previews, "a note")
        for tenth in range(100):
            previews.add(Picture(tenth / 10), Info())
            if tenth % 10 == 0:
                out.keyframe(live_keyframe(tenth // 10, {1: FIGHT if 30 <= tenth < 50 else STAND}))
    (clip,) = (tmp_path / "clips").iterdir()
    assert clip.name.startswith("cam-")
    assert clip.name.endswith("Z-fight-hit-a-person.mp4")
    # From 1 s before the start at 3 s to 2 s after.
    assert len(list(VideoReader(clip))) == 31
    (saved,) = [line for line in values(tmp_path / "events.jsonl") if line["event"] == "clip"]
    assert (saved["path"], saved["of"]) == (str(clip), "alarm")


def test_clips_that_have_begun_are_written_at_the_end(tmp_path):
    previews = Previews(20.0)
    settings = LiveSettings(print_lines=False, clips=ClipOptions(tmp_path, 1.0, 60.0))
    with outputs(settings) as out:
        out.save_clips("cam", previews, "")
        for tenth in range(20):
            previews.add(Picture(tenth / 10), Info())
        out.keyframe(live_keyframe(1, {1: STAND}))
    assert len(list(tmp_path.iterdir())) == 1
