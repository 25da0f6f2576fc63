from __future__ import annotations

import pytest

from ava_detect.errors import VideoError
from ava_detect.video.sources import find_videos, videos_by_id


@pytest.fixture
def tree(tmp_path):
    for name in ("a.mp4", "b.MOV", "notes.txt", "day1/a.mp4", "day2/a.mp4", "day2/c.avi", "day2/c.mp4"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "in"


def names(found):
    return {str(source.path.name): source.video_id for source in found}


def test_a_file_keeps_its_stem(tree):
    assert [source.video_id for source in find_videos([tree / "b.MOV"])] == ["b"]


def test_a_folder_is_searched_to_the_bottom_for_videos_only(tree):
    found = find_videos([tree])
    assert [str(source.path.relative_to(tree)) for source in found] == [
        "a.mp4",
        "b.MOV",
        "day1/a.mp4",
        "day2/a.mp4",
        "day2/c.avi",
        "day2/c.mp4",
    ]
    # Shared stems become file names, shared file names get their folder.
    assert [source.video_id for source in found] == ["in__a.mp4", "b", "day1__a.mp4", "day2__a.mp4", "c.avi", "c.mp4"]


def test_names_are_distinct_even_where_folders_share_a_name(tmp_path):
    for path in ("x/day/a.mp4", "y/day/a.mp4", "y/day/A.mp4"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    ids = [source.video_id.casefold() for source in find_videos([tmp_path])]
    assert len(set(ids)) == 3
    assert not any("/" in video_id for video_id in ids)


def test_globs_and_repeats(tree):
    found = find_videos([str(tree / "day2" / "*.mp4"), tree / "day2" / "a.mp4", str(tree / "**" / "c.*")])
    assert sorted(source.path.name for source in found) == ["a.mp4", "c.avi", "c.mp4"]


def test_the_runs_own_results_are_no_sources(tree):
    out = tree / "out"
    out.mkdir()
    (out / "a.annotated.mp4").touch()
    assert not any("out" in source.path.parts for source in find_videos([tree], inside_out=out))
    with pytest.raises(VideoError, match="holds no video"):
        find_videos([out], inside_out=out)


def test_one_missing_file_among_others_is_left_for_the_run_to_report(tree):
    found = find_videos([tree / "gone.mp4", tree / "a.mp4"])
    assert [source.video_id for source in found] == ["gone", "a"]


def test_a_file_with_glob_characters_in_its_name_is_a_file(tmp_path):
    path = tmp_path / "take[1].mp4"
    path.touch()
    assert find_videos([path])[0].video_id == "take[1]"


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ([], "no video was named"),
        (["gone.mp4"], "there is no such file: gone.mp4"),
        (["*.nothing"], r"the pattern \*.nothing holds no video"),
    ],
)
def test_nothing_to_do_is_a_sentence(tmp_path, monkeypatch, sources, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VideoError, match=message):
        find_videos(sources)


def test_a_folder_without_videos_is_a_sentence(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(VideoError, match=r"the folder .* holds no video; looked for .*\.avi .*\.mp4"):
        find_videos([tmp_path])


def test_videos_by_the_ids_that_annotations_may_call_them(tmp_path):
    for name in ("a.mp4", "sub/b.mkv", "c_000012_000022.mp4", "b.avi", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    places = videos_by_id(tmp_path)
    assert {name: [(p.path.name, p.start_seconds) for p in found] for name, found in sorted(places.items())} == {
        "a": [("a.mp4", None)],
        "a.mp4": [("a.mp4", None)],
        "b": [("b.avi", None), ("b.mkv", None)],
        "b.avi": [("b.avi", None)],
        "b.mkv": [("b.mkv", None)],
        "c": [("c_000012_000022.mp4", 12.0)],
        "c_000012_000022": [("c_000012_000022.mp4", None)],
        "c_000012_000022.mp4": [("c_000012_000022.mp4", None)],
    }


def test_a_name_of_its_own_goes_before_a_piece_cut_out(tmp_path):
    for name in ("a.mp4", "a_000012_000022.mp4"):
        (tmp_path / name).write_bytes(b"")
    assert [place.path.name for place in videos_by_id(tmp_path)["a"]] == ["a.mp4"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(VideoError, match="holds no video"):
        videos_by_id(tmp_path / "empty")
