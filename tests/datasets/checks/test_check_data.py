"""``data check`` on a small world: nothing to say of a clean copy, every planted fault named, alone and together."""

from __future__ import annotations

import json
import shutil
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from videos import constant_rate, write_numbered_video, write_parts

from ava_detect.config import Config, SplitConfig
from ava_detect.datasets.checks.check_data import CheckSettings, check_data, check_splits
from ava_detect.datasets.checks.report import KINDS, DataReport
from ava_detect.datasets.synthetic.world import WorldSettings, write_world
from ava_detect.errors import ConfigError
from ava_detect.formats.ava_csv import AvaTable, read_ava_csv, write_ava_table
from ava_detect.structures.labels import LabelMap

NUM_MOVIES = 4
SECONDS = 4
FPS = 15


@pytest.fixture(scope="module")
def clean_world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("check") / "world"
    write_world(folder, WorldSettings(seed=5, num_movies=NUM_MOVIES, seconds=SECONDS, fps=FPS, width=160, height=96))
    truth = read_ava_csv(folder / "ground_truth.csv", last_column="person_id")
    people = np.column_stack([truth.video_index, truth.timestamps_seconds, truth.boxes_fraction])
    found = truth[np.sort(np.unique(people, axis=0, return_index=True)[1])]
    names = [found.video_ids[video] for video in found.video_index]
    scores = np.full(len(found), 0.9)
    proposals = AvaTable.from_columns(names, found.timestamps_seconds, found.boxes_fraction, scores=scores)
    write_ava_table(folder / "proposals.csv", proposals)
    return folder


@pytest.fixture
def world(clean_world, tmp_path) -> Path:
    return Path(shutil.copytree(clean_world, tmp_path / "world"))


def check(world: Path, *, start_seconds: float = 0.0, decode: bool = True) -> DataReport:
    split = SplitConfig(
        annotations=str(world / "ground_truth.csv"),
        videos=str(world / "videos"),
        proposals=str(world / "proposals.csv"),
        exclude=str(world / "excluded.csv"),
    )
    label_map = LabelMap.from_pbtxt(world / "label_map.pbtxt")
    settings = CheckSettings(start_seconds=start_seconds, min_proposal_score=0.8)
    return check_splits({"data": split}, label_map, settings, decode=decode)


def test_nothing_is_said_of_a_clean_world(world):
    report = check(world)
    assert report.findings == ()
    assert report and "no problems, no notes" in str(report)
    assert report.frame_rates == {FPS: NUM_MOVIES}
    truth = read_ava_csv(world / "ground_truth.csv", last_column="person_id")
    (summary,) = report.splits
    assert (summary.num_rows, summary.num_videos) == (len(truth), NUM_MOVIES)
    assert summary.num_keyframes == NUM_MOVIES * SECONDS
    assert sum(summary.rows_of_class.values()) == len(truth)
    assert check(world, decode=False).findings == ()


def rows_of(world: Path, name: str = "ground_truth.csv") -> list[list[str]]:
    return [line.split(",") for line in (world / name).read_text().splitlines()]


def write_rows(world: Path, rows: list[list[str]], name: str = "ground_truth.csv") -> None:
    (world / name).write_text("".join(",".join(row) + "\n" for row in rows))


def with_row(change: Callable[[list[str]], object], name: str = "ground_truth.csv") -> Callable[[Path], None]:
    """Add a copy of the first row, changed, at the end."""

    def plant(world: Path) -> None:
        rows = rows_of(world, name)
        extra = list(rows[0])
        change(extra)
        write_rows(world, [*rows, extra], name)

    return plant


def set_cells(**cells: str) -> Callable[[list[str]], None]:
    places = ["video", "second", "x1", "y1", "x2", "y2", "action", "last"]

    def change(row: list[str]) -> None:
        for name, text in cells.items():
            row[places.index(name)] = text

    return change


def movie(world: Path, number: int) -> Path:
    return world / "videos" / f"movie_{number:03d}.mp4"


def number_the_people(world: Path) -> None:
    """Write person ids in place of the proposals' scores: one person of id 0, the others of id 1."""
    rows = rows_of(world, "proposals.csv")
    write_rows(world, [[*row[:7], str(int(number > 0))] for number, row in enumerate(rows)], "proposals.csv")


def keep_rows(world: Path, keep: Callable[[list[str]], bool], name: str) -> None:
    write_rows(world, [row for row in rows_of(world, name) if keep(row)], name)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def damage(path: Path) -> None:
    """Overwrite the middle of the pictures' data, behind the index that says where they are."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 1500] = bytes(1500)
    path.write_bytes(content)


def uneven(num_frames: int) -> list[float]:
    return [(i + 0.9 * (i % 2)) / 15 for i in range(num_frames)]


@dataclass(frozen=True)
class Fault:
    kind: str
    plant: Callable[[Path], object]
    said: str
    count: int = 1


FAULTS = [
    Fault("missing-video", lambda w: movie(w, 0).unlink(), "movie_000 (did you mean"),
    Fault("missing-video", lambda w: movie(w, 0).rename(movie(w, 0).with_name("Movie_000.mp4")), "'Movie_000'"),
    Fault("ambiguous-video", lambda w: shutil.copy(movie(w, 1), movie(w, 1).with_suffix(".mkv")), "movie_001.mkv, "),
    Fault("unannotated-video", lambda w: shutil.copy(movie(w, 1), movie(w, 9)), "movie_009.mp4"),
    Fault("unreadable-video", lambda w: truncate(movie(w, 1)), "movie_001.mp4 holds no video"),
    Fault("damaged-video", lambda w: damage(movie(w, 1)), "movie_001.mp4: "),
    Fault(
        "second-past-end",
        lambda w: write_numbered_video(movie(w, 2), constant_rate(60, 30)),
        "movie_002, second 2: 2 annotated seconds from here on; the video ends at second 2.00",
    ),
    Fault(
        "frame-rate",
        lambda w: write_numbered_video(movie(w, 2), constant_rate(41, 10), rate=10),
        "movie_002.mp4: 10, the network samples 15",
    ),
    Fault(
        "time-jump",
        lambda w: write_parts(movie(w, 2), 0, 3600, num_frames=40),
        "movie_002.mp4: its time stamps jump by +3",
    ),
    Fault("variable-frame-rate", lambda w: write_numbered_video(movie(w, 2), uneven(62)), "movie_002.mp4"),
    Fault("second-outside", with_row(set_cells(second="-3")), "second -3: the video starts at second 0"),
    Fault("box-in-pixels", with_row(set_cells(x1="10", y1="10", x2="90", y2="70")), "box 10,10,90,70"),
    Fault("box-outside-frame", with_row(set_cells(x1="-0.2", x2="0.4")), "box -0.2,"),
    Fault("box-degenerate", with_row(set_cells(x1="0.7", x2="0.2")), "box 0.7,"),
    Fault("box-degenerate", with_row(set_cells(y1="nan")), ",nan,"),
    Fault("unknown-action", with_row(set_cells(action="79")), "action 79"),
    Fault("duplicate-row", with_row(lambda row: None), "again, box"),
    Fault("person-with-two-boxes", with_row(set_cells(x1="0.012")), "also has box 0.012,"),
    Fault("box-without-action", with_row(set_cells(action="", last="77")), "no action"),
    Fault("row-without-person", with_row(set_cells(last="")), "no person id"),
    Fault(
        "unreadable-file",
        with_row(set_cells(second="soon")),
        "column 2 (timestamp) is 'soon', which is no number",
    ),
    Fault(
        "exclusion-matches-nothing",
        lambda w: (w / "excluded.csv").write_text("movie_000,0001\nmovie_000,0044\n"),
        "excluded.csv, line 2: movie_000, second 44",
    ),
    Fault(
        "video-without-proposals",
        lambda w: keep_rows(w, lambda row: row[0] != "movie_001", "proposals.csv"),
        "proposals.csv: movie_001",
    ),
    Fault(
        "keyframe-without-proposals",
        lambda w: keep_rows(w, lambda row: row[:2] != ["movie_001", "0002"], "proposals.csv"),
        "movie_001, second 2: no proposal with a score of 0.8",
    ),
    Fault("proposals-of-other-video", with_row(set_cells(video="film_7"), "proposals.csv"), "proposals.csv: film_7"),
    Fault("score-is-id", lambda w: number_the_people(w), "proposals.csv, line 1: movie_000, second 0: score 0"),
    Fault("score-outside", with_row(set_cells(last="87"), "proposals.csv"), "score 87"),
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f"{f.kind}-{f.said[:12]}")
def test_each_planted_fault_is_named(world, fault):
    fault.plant(world)
    report = check(world)
    (finding,) = (f for f in report.findings if f.kind == fault.kind)
    assert finding.count == fault.count
    assert any(fault.said in place for place in finding.places), finding.places
    text = str(report)
    assert f"{KINDS[fault.kind].level.upper():<8}{fault.kind}: {KINDS[fault.kind].what}" in text
    assert KINDS[fault.kind].advice in text and fault.said in text
    assert bool(report) == (KINDS[fault.kind].level == "note") or report.problems[0].kind != fault.kind


def test_faults_do_not_hide_each_other(world):
    in_rows = [
        "second-outside", "box-in-pixels", "box-outside-frame", "box-degenerate", "unknown-action", "duplicate-row",
        "person-with-two-boxes", "box-without-action", "row-without-person", "second-past-end",
        "exclusion-matches-nothing", "keyframe-without-proposals", "proposals-of-other-video", "score-outside",
        "ambiguous-video", "unannotated-video",
    ]  # fmt: skip
    for kind in in_rows:
        next(fault for fault in FAULTS if fault.kind == kind).plant(world)
    damage(movie(world, 0))
    movie(world, 3).unlink()
    report = check(world)
    assert set(report.kinds) >= {*in_rows, "damaged-video"}
    assert not report
    assert str(report).count("  try: ") == len(report.findings)
    written = json.loads(json.dumps(report.to_json()))
    assert {finding["kind"] for finding in written["findings"]} == set(report.kinds)
    assert written["num_problems"] + written["num_notes"] == len(report.findings)


def config_of(world: Path, **data) -> Config:
    split = {"annotations": str(world / "ground_truth.csv"), "videos": str(world / "videos")}
    return Config.model_validate(
        {
            "model": {"head": {"num_classes": len(LabelMap.from_pbtxt(world / "label_map.pbtxt"))}},
            "labels": {"map": str(world / "label_map.pbtxt")},
            "data": {"train": split, **data},
        }
    )


def test_a_config_is_checked_split_by_split(world):
    train, val = world / "train.csv", world / "val.csv"
    rows = rows_of(world)
    train.write_text("".join(",".join(row) + "\n" for row in rows if row[0] != "movie_002"))
    val.write_text("".join(",".join(row) + "\n" for row in rows if row[0] == "movie_002"))
    splits = {
        name: {"annotations": str(world / f"{name}.csv"), "videos": str(world / "videos")} for name in ("train", "val")
    }
    assert check_data(config_of(world, **splits)).findings == ()
    val.write_text("".join(",".join(row) + "\n" for row in rows if row[0] in ("movie_001", "movie_002")))
    (leak,) = check_data(config_of(world, **splits)).findings
    assert (leak.kind, leak.split, leak.count) == ("split-leak", "val", 1)
    assert leak.places == ("movie_001 is in train and in val",)


def test_a_subset_of_the_classes_makes_no_unknown_ids(world):
    config = config_of(world)
    present = sorted({int(row[6]) for row in rows_of(world)})
    config = Config.model_validate(
        {
            **config.model_dump(),
            "model": {"head": {"num_classes": 1}},
            "labels": {"map": str(world / "label_map.pbtxt"), "ids": present[:1]},
        }
    )
    report = check_data(config)
    assert report.findings == ()
    assert report.splits[0].num_unscored_rows == sum(int(row[6]) != present[0] for row in rows_of(world))
    assert list(report.class_names) == present[:1]


def test_a_config_without_data_is_refused():
    with pytest.raises(ConfigError, match=r"names no data; give data\.train or data\.val"):
        check_data(Config())


def test_extracted_frames_are_counted(world):
    frames = world / "frames"
    for video in (f"movie_{i:03d}" for i in range(NUM_MOVIES)):
        (frames / video).mkdir(parents=True)
        for number in range(1, 30 * SECONDS + 1):
            (frames / video / f"{video}_{number:06d}.jpg").touch()
    split = {"train": {"annotations": str(world / "ground_truth.csv"), "frames": str(frames)}}
    assert check_data(config_of(world, **split), decode=False).findings == ()
    (frames / "movie_000" / "movie_000_000033.jpg").unlink()
    for number in range(61, 30 * SECONDS + 1):
        (frames / "movie_001" / f"movie_001_{number:06d}.jpg").unlink()
    shutil.rmtree(frames / "movie_002")
    report = check_data(config_of(world, **split), decode=False)
    assert set(report.kinds) == {"unusable-frames", "second-past-end", "missing-video"}
    places = " ".join(place for finding in report.findings for place in finding.places)
    assert "movie_000: of the frames 1 to 120 only 119 are there, the first that is missing is 33" in places
    assert "the video ends at second 2.00" in places


def test_trimmed_files_start_inside_their_movie(world):
    def shift(row: list[str]) -> list[str]:
        return [row[0], str(int(row[1]) + 900), *row[2:]]

    write_rows(world, [shift(row) for row in rows_of(world)])
    (world / "proposals.csv").write_text("".join(",".join(shift(r)) + "\n" for r in rows_of(world, "proposals.csv")))
    report = check(world, start_seconds=900)
    # AVA annotates no second before 902.
    assert set(report.kinds) == {"second-outside"}
    assert report.kinds["second-outside"] == sum(int(row[1]) < 902 for row in rows_of(world))
    late = check(world)
    assert set(late.kinds) == {"second-past-end"} and late.kinds["second-past-end"] == NUM_MOVIES


def test_real_faults_of_real_videos_are_found(shared):
    from ava_detect.datasets.checks.videos import examine_video

    def of(name: str):
        return examine_video(shared / "videos" / name, decode=True)

    assert "damaged packet" in of("dc_corrupted.mp4").damage
    assert "the video ends at" in of("odd_truncated.mp4").damage or of("odd_truncated.mp4").error
    assert of("odd_vfr.mp4").is_uneven
    steady = of("mm_demo.mp4")
    assert (steady.is_uneven, steady.damage, steady.error) == (False, "", "")
    assert steady.frames_per_second == pytest.approx(28, abs=0.1)


def test_millions_of_rows_take_seconds(tmp_path):
    rng = np.random.default_rng(0)
    num_people, per_person = 500_000, 2
    boxes = np.round(rng.random((num_people, 4)) * 0.4 + [0, 0, 0.5, 0.5], 3)
    table = AvaTable.from_columns(
        np.repeat([f"v{i:03d}" for i in range(100)], num_people * per_person // 100).tolist(),
        np.repeat(np.arange(num_people) // 5 % 900, per_person).astype(float),
        boxes.repeat(per_person, axis=0),
        np.tile([12, 80], num_people),
        person_ids=np.repeat(np.arange(num_people), per_person),
    )
    write_ava_table(tmp_path / "big.csv", table)
    (tmp_path / "videos").mkdir()
    start = time.process_time()
    report = check_splits(
        {"train": SplitConfig(annotations=str(tmp_path / "big.csv"), videos=str(tmp_path / "videos"))}, LabelMap.ava()
    )
    # Processor seconds: five, also on a busy machine; a loop over the rows in Python takes minutes.
    assert time.process_time() - start < 60
    assert report.kinds == {"missing-video": 100}


@pytest.mark.parametrize(("in_csv", "on_disk"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_the_form_of_an_accent_makes_no_missing_video(world, in_csv, on_disk):
    # As an archive made on macOS and a table typed elsewhere.
    form = unicodedata.normalize
    movie(world, 1).rename(movie(world, 1).with_name(f"{form(on_disk, 'müv')}.mp4"))
    csv = world / "ground_truth.csv"
    csv.write_text(csv.read_text().replace("movie_001", form(in_csv, "müv")), encoding="utf-8")
    assert not {"missing-video", "unannotated-video"} & set(check(world).kinds)


def test_every_kind_of_rows_and_files_has_a_planted_fault():
    is_keyframe_only = {"label-outside", "action-backwards"}
    elsewhere = {"split-leak", "unusable-frames", "unusable-annotations"}
    # tests/datasets/checks/test_check_tubes.py
    of_tubes = {"frame-past-end", "frame-outside", "frame-count", "frame-size", "tube-outside"}
    assert {fault.kind for fault in FAULTS} | is_keyframe_only | elsewhere | of_tubes == set(KINDS)


def test_the_page_about_data_is_true(tmp_path):
    page = (Path(__file__).resolve().parents[3] / "docs" / "data.md").read_text()
    for name, kind in KINDS.items():
        assert f"| `{name}` | {kind.level} | {kind.what} | {kind.advice} |" in page
    settings = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])
    assert Config.model_validate(settings).data.val.annotations == "mine/val.csv"
    (tmp_path / "map.pbtxt").write_text(page.split("### Label maps\n\n```\n")[1].split("```")[0])
    assert LabelMap.from_pbtxt(tmp_path / "map.pbtxt").name(1) == "knead dough"
