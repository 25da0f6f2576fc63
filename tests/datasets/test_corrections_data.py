"""Corrections as training data: what is trained on, what is held out, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corrections import People, Step, accepted, write_corrections

from ava_detect.config import Config
from ava_detect.datasets.build import build_dataset, true_rows
from ava_detect.datasets.clip_sources import JoinedClips
from ava_detect.datasets.corrections import ReviewedData
from ava_detect.errors import AvaDetectError
from ava_detect.results.manifest import Manifest, VideoRecord
from ava_detect.structures.labels import Action, LabelMap

BOX, OTHER = (0.1, 0.2, 0.3, 0.4), (0.5, 0.5, 0.75, 1.0)
# By the hashes of their ids (0.79, 0.24, 0.18), "c" is held out at 0.2 and "a" never.
FOUND: dict[str, dict[float, People]] = {
    "a": {0.0: {1: (BOX, (12,)), 2: (OTHER, ())}, 1.0: {1: (BOX, (12,))}, 2.0: {1: (BOX, (14,))}},
    "b": {0.0: {1: (OTHER, (80, 12))}},
    "c": {0.0: {1: (BOX, (12,))}, 1.0: {}},
}
STEPS: dict[str, list[Step]] = {
    "a": [(0.0, "accept"), (1.0, "delete", {"person": 1}), (1.0, "accept")],
    "b": [(0.0, "accept")],
    "c": [(0.0, "accept"), (1.0, "accept")],
}


@pytest.fixture
def config_of(tmp_path: Path):
    """``config_of(found, steps, **data)``: a config of the actions 12, 14 and 80 with these corrections."""

    def make(found: Any = FOUND, steps: Any = STEPS, *, corrections: Any = None, **data: Any) -> Config:
        for name in found:
            (tmp_path / "videos").mkdir(exist_ok=True)
            (tmp_path / "videos" / f"{name}.mp4").touch()
        folder = tmp_path / "corrections"
        if not folder.is_dir():
            write_corrections(folder, LabelMap.ava(), found, steps)
        section = {"folder": str(folder), "videos": str(tmp_path / "videos")} | (corrections or {})
        return Config.model_validate(
            {
                "model": {"head": {"num_classes": 3}},
                "labels": {"ids": [12, 14, 80]},
                "data": {"corrections": section, **data},
            }
        )

    return make


def content(config: Config, split: Any, *, training: bool) -> dict[Any, list[Any]]:
    """Keyframe -> each person's box and label columns."""
    dataset = build_dataset(config, split, training=training)
    table = dataset.table  # type: ignore[attr-defined]
    return {
        key: [
            (tuple(np.round(box.astype(np.float64), 6).tolist()), labels.tolist())
            for box, labels in zip(table.boxes_fraction(index), table.label_matrix(index), strict=True)
        ]
        for index, key in enumerate(dataset.keys)
    }


def test_accepted_keyframes_alone_are_learnt_from(config_of):
    assert content(config_of(), "train", training=True) == {
        # Person 2 has no action, which is a negative for all; second 2 was not accepted and is no sample.
        ("a", 0.0): [(BOX, [1, 0, 0]), (OTHER, [0, 0, 0])],
        # What the detector took for a person is none.
        ("a", 1.0): [(BOX, [0, 0, 0])],
        ("b", 0.0): [(OTHER, [1, 0, 1])],
    }


def test_the_part_that_is_held_out_is_the_test_split_with_its_empty_keyframe(config_of):
    config = config_of()
    assert content(config, "val", training=False) == {("c", 0.0): [(BOX, [1, 0, 0])], ("c", 1.0): []}
    assert true_rows(config, "val").is_keyframe_only.tolist() == [False, True]


def test_none_held_out_trains_on_all(config_of):
    keys = content(config_of(corrections={"held_out": 0.0}), "train", training=True)
    assert ("c", 0.0) in keys
    assert len(keys) == 4


def test_beside_other_data_corrections_replace_their_keyframes_and_held_out_videos_are_left_out(config_of, tmp_path):
    annotations = tmp_path / "train.csv"
    annotations.write_text(
        "a,900,0.6,0.6,0.8,0.8,14,1\n"  # is reviewed at second 0
        "a,0902,0.6,0.6,0.8,0.8,14,1\n"  # is not
        "c,905,0.6,0.6,0.8,0.8,14,1\n"  # the video is held out
        "d,901,0.6,0.6,0.8,0.8,14,1\n"
    )
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "d.mp4").touch()
    (tmp_path / "others" / "a.mp4").touch()
    split = {"annotations": str(annotations), "videos": str(tmp_path / "others")}
    config = config_of(train=split, start_seconds=900)
    box = (0.6, 0.6, 0.8, 0.8)
    found = content(config, "train", training=True)
    assert found[("a", 900.0)] == [(BOX, [1, 0, 0]), (OTHER, [0, 0, 0])]
    assert found[("a", 902.0)] == found[("d", 901.0)] == [(box, [0, 1, 0])]
    assert set(found) == {("a", 900.0), ("a", 901.0), ("a", 902.0), ("b", 900.0), ("d", 901.0)}
    assert true_rows(config, "val").timestamps_seconds.tolist() == [900.0, 901.0]


def test_each_clip_comes_from_the_file_of_its_own_split(config_of, tmp_path):
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "d.mp4").touch()
    (tmp_path / "train.csv").write_text("d,1,0.6,0.6,0.8,0.8,14,1\n")
    split = {"annotations": str(tmp_path / "train.csv"), "videos": str(tmp_path / "others")}
    data = ReviewedData.of(config_of(train=split))
    assert data is not None
    clips = data.clips(["d", "b", "a"], config_of(train=split).data.train)
    assert isinstance(clips, JoinedClips)
    paths = [source._paths[number] for source, number in map(clips._find, range(3))]  # type: ignore[attr-defined]
    assert [Path(path).relative_to(tmp_path).as_posix() for path in paths] == [
        "others/d.mp4",
        "videos/b.mp4",
        "videos/a.mp4",
    ]


def test_what_is_left_out_is_said(config_of):
    found = FOUND | {"b": {0.0: {1: (OTHER, (79, 12))}, 1.0: {1: (BOX, ())}}}
    steps = STEPS | {"b": [(0.0, "accept"), (1.0, "delete", {"person": 1})]}
    data = ReviewedData.of(config_of(found, steps))
    assert data is not None
    note = data.note(LabelMap.ava().subset([12, 14, 80]))
    assert "3 reviewed keyframes of" in note
    assert "trained on, 2 held out (c)" in note
    assert "; left out: 1 keyframe changed but not accepted" in note
    assert "; left out: 1 label of actions that the network does not have" in note


def refusal(make: Any) -> str:
    with pytest.raises(AvaDetectError) as caught:
        build_dataset(make(), "train", training=True)
    return str(caught.value)


def test_corrections_without_an_accepted_keyframe_are_refused(config_of):
    steps = {"a": [(0.0, "delete", {"person": 1})]}
    assert "no keyframe is accepted (1 keyframe changed); accept those" in refusal(lambda: config_of(steps=steps))


def test_corrections_without_any_action_are_refused(config_of):
    found: dict[str, dict[float, People]] = {"a": {0.0: {1: (BOX, ())}}, "b": {0.0: {1: (BOX, ())}}}
    assert "has an action; tick actions" in refusal(lambda: config_of(found, accepted(found)))


def test_actions_of_other_names_are_refused(config_of, tmp_path):
    names = LabelMap((Action(12, "knead dough"),))
    found: dict[str, dict[float, People]] = {"a": {0.0: {1: (BOX, (12,))}}}
    write_corrections(tmp_path / "corrections", names, found, accepted(found))
    message = refusal(lambda: config_of(found))
    assert "action 12 is 'knead dough' in" in message
    assert "and 'stand' in the config; give the label map" in message


def test_missing_videos_are_named(config_of, tmp_path):
    message = refusal(lambda: config_of(corrections={"videos": None}))
    assert "3 of its 3 videos are not where results has them: a, b, c; give the folder" in message
    config = config_of()
    (tmp_path / "videos" / "b.mp4").unlink()
    assert f"1 of its 3 videos are not {tmp_path / 'videos'}: b" in refusal(lambda: config)


def test_two_different_videos_of_one_id_are_refused(config_of, tmp_path):
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "a.mp4").write_bytes(b"other")
    (tmp_path / "train.csv").write_text("a,7,0.6,0.6,0.8,0.8,14,1\n")
    split = {"annotations": str(tmp_path / "train.csv"), "videos": str(tmp_path / "others")}
    assert "are different files; give the videos different ids" in refusal(lambda: config_of(train=split))


def test_videos_are_found_where_they_were_annotated_and_another_start_is_refused(tmp_path):
    results, movie = tmp_path / "results", tmp_path / "movie.mp4"
    movie.touch()
    results.mkdir()
    manifest = Manifest(results, {"start_seconds": 900.0}, resume=False)
    manifest.add(VideoRecord("movie", str(movie), "done"))
    found: dict[str, dict[float, People]] = {"movie": {0.0: {1: (BOX, (12,))}}}
    folder = write_corrections(tmp_path / "corrections", LabelMap.ava(), found, accepted(found), results)
    section = {"folder": str(folder), "held_out": 0.0}
    config = Config.model_validate({"data": {"corrections": section, "start_seconds": 900.0}})
    assert list(build_dataset(config, "train", training=True).keys) == [("movie", 900.0)]
    config = Config.model_validate({"data": {"corrections": section}})
    assert "give the same (data.start_seconds=900)" in refusal(lambda: config)
