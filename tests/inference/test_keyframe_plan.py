"""Which keyframes are looked at, and which file is which video."""

from __future__ import annotations

import numpy as np
import pytest

from ava_detect.errors import ConfigError, VideoError
from ava_detect.formats.ava_csv import AvaTable
from ava_detect.inference.keyframe_plan import plan_keyframes


def listed(*keyframes):
    names, times = zip(*keyframes, strict=True)
    return AvaTable.from_columns(names, times, np.full((len(names), 4), np.nan))


@pytest.fixture
def folder(tmp_path):
    for name in ("a.mp4", "deep/b.c.mkv", "z.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_each_keyframe_once_in_order_of_time(folder):
    plan = plan_keyframes(listed(("b.c", 905), ("a", 903), ("a", 902), ("a", 903.0000001)), folder, start_seconds=900)
    assert [(v.source.video_id, v.seconds) for v in plan.videos] == [("b.c", (5.0,)), ("a", (2.0, 3.0))]
    assert [v.source.path for v in plan.videos] == [folder / "deep" / "b.c.mkv", folder / "a.mp4"]
    assert (plan.num_keyframes, plan.missing) == (3, {})


def test_excluded_keyframes_and_videos_without_a_file(folder):
    plan = plan_keyframes(
        listed(("a", 1), ("a", 2), ("gone", 1), ("gone", 4)),
        folder,
        exclude=listed(("a", 2), ("gone", 4), ("other", 1)),
    )
    assert [v.seconds for v in plan.videos] == [(1.0,)]
    assert plan.missing == {"gone": 1}
    assert plan.num_keyframes == 2


def test_an_id_may_be_the_whole_file_name(folder):
    assert plan_keyframes(listed(("a.mp4", 0)), folder).videos[0].source.video_id == "a.mp4"


def test_the_digest_tells_keyframes_apart(folder):
    digests = {
        plan_keyframes(listed(*keyframes), folder).digest
        for keyframes in ([("a", 1)], [("a", 2)], [("a", 1), ("a", 2)], [("z", 1)])
    }
    assert len(digests) == 4
    assert plan_keyframes(listed(("a", 1), ("a", 1)), folder).digest in digests


def test_two_files_of_one_video_are_refused(folder):
    (folder / "a.webm").touch()
    with pytest.raises(ConfigError, match=r"2 files are the video 'a': .*a\.mp4, .*a\.webm; keep one of them"):
        plan_keyframes(listed(("a", 1)), folder)


def test_a_ground_truth_of_other_videos_is_refused(folder):
    with pytest.raises(
        ConfigError, match=r"is a video of the ground truth, which begins with 'b\.d' \(did you mean 'b\.c'\?\)"
    ):
        plan_keyframes(listed(("b.d", 1)), folder)


def test_nothing_to_look_at_is_refused(folder, tmp_path_factory):
    with pytest.raises(ConfigError, match="lists no keyframe, or all of them are excluded"):
        plan_keyframes(listed(("a", 1)), folder, exclude=listed(("a", 1)))
    with pytest.raises(VideoError, match="holds no video"):
        plan_keyframes(listed(("a", 1)), tmp_path_factory.mktemp("empty"))
