from pathlib import Path

import av
import numpy as np
import pytest

from ava_detect.datasets.synthetic.actions import ACTION_IDS
from ava_detect.datasets.synthetic.planning import plan_movie
from ava_detect.datasets.synthetic.stage import SeenPerson
from ava_detect.datasets.synthetic.tubes import TubeRecorder
from ava_detect.datasets.synthetic.world import WorldSettings, film_frames, render_movie, write_world
from ava_detect.errors import AvaDetectError
from ava_detect.formats.ava_csv import AvaTable, read_ava_csv
from ava_detect.formats.tube_pickles import read_tube_annotations
from ava_detect.structures.labels import LabelMap
from ava_detect.structures.progress import Progress

SMALL = {"width": 320, "height": 180}


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def rows_of(table: AvaTable) -> list[tuple[object, ...]]:
    return [
        (table.video_ids[table.video_index[i]], table.timestamps_seconds[i], *table.boxes_fraction[i],
         table.action_ids[i], table.person_ids[i])
        for i in range(len(table))
    ]  # fmt: skip


def test_the_file_holds_every_frame_as_rendered(tmp_path: Path) -> None:
    render_movie(tmp_path / "one.mp4", seed=1, seconds=1.5, fps=24, **SMALL)
    movie = decoded(tmp_path / "one.mp4")
    rendered = [image for _, image, _ in film_frames(seed=1, seconds=1.5, fps=24, **SMALL)]
    assert len(movie) == len(rendered) == 36
    for got, want in zip(movie, rendered, strict=True):
        assert np.abs(got.astype(int) - want).mean() < 8  # what H.264 loses, most of it film grain


@pytest.mark.parametrize("fps", [24, 25, 30])
def test_frames_come_at_their_times_through_cuts(fps: int) -> None:
    times = [time for time, _, _ in film_frames(seed=2, seconds=7.3, fps=fps, width=64, height=64, num_people=1)]
    np.testing.assert_allclose(times, np.arange(len(times)) / fps)
    assert len(times) == int(np.ceil(7.3 * fps))


def test_the_same_seed_gives_the_same_pictures_and_boxes() -> None:
    first, again, other = (list(film_frames(seed=seed, seconds=3, fps=1, **SMALL)) for seed in (7, 7, 8))
    for (_, image, people), (_, image_again, people_again) in zip(first, again, strict=True):
        assert (image == image_again).all()
        assert [p.box_xyxy.tolist() for p in people] == [p.box_xyxy.tolist() for p in people_again]
    assert (first[0][1] != other[0][1]).any()


def test_a_long_movie_is_not_planned_or_kept_as_a_whole() -> None:
    _, image, people = next(film_frames(seed=0, seconds=3600, width=64, height=64))
    assert image.shape == (64, 64, 3)
    assert people


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, AvaTable]:
    folder = tmp_path_factory.mktemp("world")
    return folder, write_world(folder, WorldSettings(seed=3, num_movies=2, seconds=6, fps=10, num_people=2, **SMALL))


def test_a_world_is_laid_out_like_ava(world: tuple[Path, AvaTable]) -> None:
    folder, table = world
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert files == [
        "excluded.csv",
        "ground_truth.csv",
        "label_map.pbtxt",
        "tubes.pkl",
        "videos/movie_000.mp4",
        "videos/movie_001.mp4",
    ]
    assert table.video_ids == ("movie_000", "movie_001")
    assert LabelMap.from_pbtxt(folder / "label_map.pbtxt") == LabelMap.ava().subset(ACTION_IDS)
    assert (folder / "excluded.csv").read_text() == ""


def test_the_csv_reads_back_as_returned(world: tuple[Path, AvaTable]) -> None:
    folder, table = world
    assert rows_of(read_ava_csv(folder / "ground_truth.csv", last_column="person_id")) == rows_of(table)


def test_every_whole_second_is_annotated_with_boxes_inside_the_frame(world: tuple[Path, AvaTable]) -> None:
    _, table = world
    for index in range(2):
        assert set(table.timestamps_seconds[table.video_index == index]) == {0, 1, 2, 3, 4, 5}
    assert (table.boxes_fraction >= 0).all()
    assert (table.boxes_fraction <= 1).all()
    sides = table.boxes_fraction[:, 2:] - table.boxes_fraction[:, :2]
    assert (sides > 0.02).all()
    assert set(table.action_ids) <= set(ACTION_IDS)


def test_labels_agree_with_the_script(tmp_path: Path) -> None:
    for seed in (4, 5, 6):
        table = render_movie(tmp_path / f"{seed}.mp4", seed=seed, seconds=9, fps=2, num_people=2, **SMALL)
        seen = 0
        for shot in plan_movie(seed, 9, SMALL["width"], SMALL["height"], 2):
            for second in range(int(np.ceil(shot.start_seconds)), int(np.ceil(shot.end_seconds))):
                for actor in shot.actors:
                    rows = (table.timestamps_seconds == second) & (table.person_ids == actor.person_id)
                    if rows.any():  # else less than half of the person can be seen
                        seen += 1
                        assert tuple(table.action_ids[rows]) == actor.activity_at(second).action_ids
        assert seen >= 16  # of 18


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_several_processes_write_the_same_world_and_say_how_far_they_are(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    settings = WorldSettings(seed=9, num_movies=3, seconds=1, fps=5, width=64, height=64)
    for folder, num_processes in (("one", 1), ("two", 2)):
        write_world(
            tmp_path / folder,
            settings,
            num_processes=num_processes,
            on_progress=lambda at: calls.append((at.done, at.total)),
        )
    assert calls == [(1, 3), (2, 3), (3, 3)] * 2
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_a_world_of_motion_pairs_has_four_actions(tmp_path: Path) -> None:
    table = write_world(
        tmp_path,
        WorldSettings(seed=1, num_movies=2, seconds=9, fps=2, width=160, height=90, repertoire="motion_pairs"),
    )
    assert set(table.action_ids) == {10, 14, 67, 69}
    assert LabelMap.from_pbtxt(tmp_path / "label_map.pbtxt").ids == (10, 14, 67, 69)


def test_an_older_world_is_replaced_but_a_foreign_video_is_not_left_beside_it(tmp_path: Path) -> None:
    tiny = {"seconds": 1, "fps": 2, "width": 64, "height": 64}
    write_world(tmp_path, WorldSettings(seed=1, num_movies=2, **tiny))
    before = files_of(tmp_path)
    write_world(tmp_path, WorldSettings(seed=2, num_movies=2, **tiny))
    assert files_of(tmp_path).keys() == before.keys()
    assert files_of(tmp_path) != before
    with pytest.raises(AvaDetectError, match=r"movie_001.mp4 is not part of a world of 1 movies; remove it or choose"):
        write_world(tmp_path, WorldSettings(seed=2, num_movies=1, **tiny))


def test_a_world_that_was_broken_off_has_no_ground_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = {"seconds": 1, "fps": 2, "width": 64, "height": 64}
    write_world(tmp_path, WorldSettings(seed=1, num_movies=2, **tiny))

    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_world(tmp_path, WorldSettings(seed=2, num_movies=2, **tiny), on_progress=stop)
    assert sorted(files_of(tmp_path)) == [
        "excluded.csv", "label_map.pbtxt", "videos/movie_000.mp4", "videos/movie_001.mp4",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"seconds": 0}, "`seconds` must be from 0.001 to 3,600, got 0"),
        ({"seconds": float("nan")}, "`seconds` must be from 0.001 to 3,600, got nan"),
        ({"seconds": float("inf")}, "`seconds` must be from 0.001 to 3,600, got inf"),
        ({"seconds": 1e-9}, "`seconds` must be from 0.001 to 3,600, got 1e-09"),
        ({"fps": 10**9}, "`fps` must be a whole number from 1 to 240, got 1000000000"),
        ({"width": 10**6}, "`width` and `height` must be even and from 64 to 4096 pixels, got 1000000x180"),
        ({"seed": 10**30}, "`seed` must be a whole number from 0 to 9,223,372,036,854,775,807, got 1000"),
        ({"fps": 0}, "`fps` must be a whole number from 1 to 240, got 0"),
        ({"width": 321}, "must be even and from 64 to 4096 pixels, got 321x180"),
        ({"height": 32}, "must be even and from 64 to 4096 pixels, got 320x32"),
        ({"num_people": 5}, "`num_people` must be 1 to 4, or None to let the seed choose, got 5"),
        (
            {"num_people": 4, "repertoire": "motion_pairs"},
            "`num_people` must be 1 to 3, or None to let the seed choose",
        ),
        ({"repertoire": "sports"}, "`repertoire` must be one of everyday, motion_pairs, got 'sports'"),
        ({"seed": -1}, "`seed` must be a whole number from 0 to 9,223,372,036,854,775,807, got -1"),
    ],
)
def test_settings_out_of_range_are_named_and_leave_no_file(tmp_path: Path, settings: dict, words: str) -> None:
    with pytest.raises(AvaDetectError, match=words):
        render_movie(tmp_path / "x.mp4", **({"seed": 0, "seconds": 1} | SMALL | settings))
    assert list(tmp_path.iterdir()) == []


def test_a_world_needs_a_movie(tmp_path: Path) -> None:
    with pytest.raises(AvaDetectError, match="the number of movies must be from 1 to 100,000, got 0"):
        write_world(tmp_path, WorldSettings(seed=0, num_movies=0))
    with pytest.raises(AvaDetectError, match="the number of processes must be from 1 to 256, got 0"):
        write_world(tmp_path, WorldSettings(seed=0), num_processes=0)
    assert list(tmp_path.iterdir()) == []


def test_every_seed_of_a_world_that_is_taken_can_be_rendered(tmp_path) -> None:
    """The seeds of its movies are a million times as large."""
    tiny = {"num_movies": 1, "seconds": 0.2, "fps": 5, "width": 64, "height": 64}
    for seed in (20261129, 10**12):
        assert len(write_world(tmp_path / str(seed), WorldSettings(seed=seed, **tiny)))
    with pytest.raises(AvaDetectError, match=r"`seed` must be a whole number from 0 to 1,000,000,000,000, got 1000"):
        write_world(tmp_path / "beyond", WorldSettings(seed=10**12 + 1, **tiny))
    assert not (tmp_path / "beyond").exists()


def test_tubes_have_a_box_on_every_frame_and_agree_with_the_csv(world: tuple[Path, AvaTable]) -> None:
    folder, table = world
    truth = read_tube_annotations(folder / "tubes.pkl")
    names = [action.name for action in LabelMap.ava().subset(ACTION_IDS)]
    assert [action.name for action in truth.label_map] == names
    assert truth.train_videos() == truth.test_videos() == ("movie_000", "movie_001")
    assert set(truth.num_frames.values()) == {60}
    assert set(truth.resolutions.values()) == {(SMALL["height"], SMALL["width"])}
    size = np.tile([SMALL["width"], SMALL["height"]], 2)
    on_seconds = {
        (video, (frame - 1) / 10, ACTION_IDS[tube.action_id], *np.round(box / size, 6))
        for video, tubes in truth.tubes.items()
        for tube in tubes
        for frame, box in zip(tube.frames.tolist(), tube.boxes_xyxy, strict=True)
        if frame % 10 == 1
    }
    rows = zip(table.video_index, table.timestamps_seconds, table.action_ids, table.boxes_fraction, strict=True)
    assert on_seconds == {(table.video_ids[video], t, action, *np.round(box, 6)) for video, t, action, box in rows}
    lengths = [len(tube) for tubes in truth.tubes.values() for tube in tubes]
    assert max(lengths) > 20


def test_a_tube_ends_where_the_person_is_hidden_or_does_something_else() -> None:
    recorder = TubeRecorder()

    def person(number: int, *actions: int) -> SeenPerson:
        return SeenPerson(number, np.array([1.0, 2, 3, 4]), actions, 1.0)

    for people in ([person(1, 12), person(2, 12)], [person(1, 12, 14)], [], [person(1, 12)]):
        recorder.add(people)
    tubes = recorder.tubes("movie", {12: 0, 14: 1})
    assert [(tube.action_id, tube.frames.tolist()) for tube in tubes] == [
        (0, [1, 2]), (0, [4]), (0, [1]), (1, [2]),
    ]  # fmt: skip
    assert recorder.num_frames == 4
