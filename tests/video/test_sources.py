from __future__ import annotations

import os
import unicodedata
import warnings

import pytest

from ava_detect.errors import PassedOverWarning, VideoError
from ava_detect.storage.addresses import Address
from ava_detect.video.source_stream import stream_videos
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
    with pytest.warns(PassedOverWarning, match=r"passed over 1 file inside `out`.*\(.*a\.annotated\.mp4\)"):
        found = find_videos([tree], inside_out=out)
    assert not any("out" in source.path.parts for source in found)
    with pytest.raises(VideoError, match="holds no video"), pytest.warns(PassedOverWarning, match="inside `out`"):
        find_videos([out], inside_out=out)


def test_videos_of_a_page_are_no_sources(tree):
    """A review beside the videos links them, and the links come first in the order of names."""
    media = tree / "0" / "page" / "page-media"
    media.mkdir(parents=True)
    (media / "0001.mp4").symlink_to(tree / "a.mp4")
    assert media / "0001.mp4" in {source.path for source in find_videos([tree])}, "this is not yet a page"
    (media.parent / "page-data").mkdir()
    for source in (tree, tree / "**" / "*.mp4"):
        with pytest.warns(PassedOverWarning, match=r"passed over 1 file of a page .*0001\.mp4"):
            found = {video.path for video in find_videos([source])}
        assert tree / "a.mp4" in found and media / "0001.mp4" not in found


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


def test_a_folder_of_extracted_frames_is_told_where_they_are_read(tmp_path):
    (tmp_path / "movie").mkdir()
    (tmp_path / "movie" / "img_00001.jpg").touch()
    for folder in tmp_path, tmp_path / "movie":
        with pytest.raises(VideoError, match=rf"the folder {folder} holds no video but pictures; .*`data.val.frames`"):
            find_videos([folder])


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


NFC, NFD = (unicodedata.normalize(form, "café über 가") for form in ("NFC", "NFD"))


def found_by(find, *sources):
    """The paths that either way of finding videos finds, relative to the first source where it is a folder."""
    return sorted(os.path.relpath(video.path, sources[0]) for video in find(sources))


@pytest.mark.parametrize("find", [find_videos, stream_videos])
def test_what_macos_writes_beside_files_is_passed_over_with_a_word(tmp_path, find):
    for name in ("clip.mp4", "._clip.mp4", "deep/._x.avi", "deep/x.avi", "__MACOSX/deep/._x.avi", "__MACOSX/odd.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    message = r"passed over 3 files of macOS's own data \(first (__MACOSX|\._clip\.mp4)\)"
    with pytest.warns(PassedOverWarning, match=message):
        assert found_by(find, tmp_path) == ["clip.mp4", "deep/x.avi"]
    with pytest.warns(PassedOverWarning, match=r"passed over 1 file of macOS's own data \(.*__MACOSX/odd\.mp4\)"):
        assert [video.path for video in find([f"{tmp_path}/**/*.mp4"])] == [tmp_path / "clip.mp4"]
    # A file that is named is read, whatever its name.
    assert [video.video_id for video in find([tmp_path / "._clip.mp4"])] == ["._clip"]


def test_macos_data_in_a_bucket_are_passed_over(tmp_path, memory_files):
    for name in ("a.mp4", "._a.mp4", "__MACOSX/._a.mp4"):
        memory_files(name)
    with pytest.warns(PassedOverWarning, match=r"passed over 2 files of macOS's own data \(first .*\._a\.mp4\)"):
        assert [video.video_id for video in stream_videos([f"memory://{tmp_path.name}"])] == ["a"]


@pytest.mark.parametrize("find", [find_videos, stream_videos])
def test_linked_folders_are_followed_and_circles_end(tmp_path, find):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for name in ("in/a.mp4", "in/deep/b.mp4", "elsewhere/c.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "in" / "deep" / "up").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "deep" / "itself").symlink_to("itself")
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "elsewhere")
    with pytest.warns(PassedOverWarning, match=r"passed over 1 folder linked to one read already .*deep/up"):
        assert found_by(find, tmp_path / "in") == ["a.mp4", "deep/b.mp4", "linked/c.mp4"]


@pytest.mark.parametrize("find", [find_videos, stream_videos])
def test_links_that_lead_nowhere_are_left_for_the_run_to_report(tmp_path, find):
    (tmp_path / "a.mp4").touch()
    (tmp_path / "gone.mp4").symlink_to("nothing")
    (tmp_path / "circle.mp4").symlink_to("circle.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    assert found_by(find, tmp_path) == ["a.mp4", "circle.mp4", "gone.mp4", "pipe.mp4"]
    assert len(list(find([f"{tmp_path}/*.mp4"]))) == 4
    # Each alone, too; their places are known without being followed.
    assert [video.location for video in stream_videos([tmp_path / "circle.mp4"])] == [str(tmp_path / "circle.mp4")]


@pytest.mark.parametrize("find", [find_videos, stream_videos])
@pytest.mark.parametrize("name", ["x" * 300 + ".mp4", "a\0b.mp4"])
def test_names_that_no_file_can_have_are_no_files(tmp_path, find, name):
    (tmp_path / "a.mp4").touch()
    assert len(list(find([tmp_path / "a.mp4", tmp_path / name]))) == 2


@pytest.mark.parametrize("suffix", ["asf", "vob", "3g2", "mpe", "MPE", "m2v", "f4v", "dv", "divx", "qt"])
@pytest.mark.parametrize("find", [find_videos, stream_videos])
def test_films_of_all_kinds_are_found(tmp_path, find, suffix):
    (tmp_path / f"a.{suffix}").touch()
    assert found_by(find, tmp_path) == [f"a.{suffix}"]


@pytest.mark.parametrize("find", [find_videos, stream_videos])
def test_parts_of_a_pattern_that_exist_as_written_are_no_pattern(tmp_path, find):
    for name in ("day[1]/a.mp4", "day1/b.mp4", "day[1]/take[2].mp4", "day[1]/take2.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [video.path.name for video in find([f"{tmp_path}/day[1]/take[2].mp4"])] == ["take[2].mp4"]
    assert [video.path.name for video in find([f"{tmp_path}/day[1]/a*.mp4"])] == ["a.mp4"]
    assert [video.path.name for video in find([f"{tmp_path}/day[0-9]/*.mp4"])] == ["b.mp4"]


@pytest.fixture
def memory_files(tmp_path):
    import fsspec

    files = fsspec.filesystem("memory")
    yield lambda name: files.pipe_file(f"/{tmp_path.name}/{name}", b"x")
    files.rm(f"/{tmp_path.name}", recursive=True)


def test_brackets_in_an_address_are_a_name_where_that_exists(tmp_path, memory_files):
    for name in ("take[1].mp4", "take1.mp4", "take2.mp4", "day[2]/a.mp4", "day2/b.mp4"):
        memory_files(name)
    root = f"memory://{tmp_path.name}"

    def names(*sources):
        return [Address(str(video.path)).name for video in stream_videos(sources)]

    assert names(f"{root}/take[1].mp4") == ["take[1].mp4"]
    assert names(f"{root}/take[12].mp4") == ["take1.mp4", "take2.mp4"]
    assert names(f"{root}/day[2]") == ["a.mp4"]
    assert names(f"{root}/day[2]/*.mp4") == ["a.mp4"]
    assert names(f"{root}/day[0-9]/*.mp4") == ["b.mp4"]


def test_both_forms_of_an_accent_name_the_same_video(tmp_path):
    (tmp_path / f"{NFD}.mp4").touch()
    files = videos_by_id(tmp_path)
    assert NFC in files
    assert NFD in files
    assert files[NFC][0].path.name == f"{NFD}.mp4"
    assert files.get(f"{NFC}.mp4") == files[NFD]
    # The id is written as the file is called.
    assert [video.video_id for video in find_videos([tmp_path])] == [NFD]


def test_files_that_differ_only_in_the_form_of_an_accent_have_different_ids(tmp_path):
    for name in (NFC, NFD):
        (tmp_path / f"{name}.mp4").touch()
    ids = [unicodedata.normalize("NFC", video.video_id).casefold() for video in find_videos([tmp_path])]
    assert len(set(ids)) == 2
    assert len(videos_by_id(tmp_path)[NFC]) == 2


def test_nothing_is_said_of_a_folder_of_which_all_is_read(tree):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        find_videos([tree])
        list(stream_videos([tree]))
