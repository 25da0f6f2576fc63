"""Recognition, times, outputs, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from corrections import accepted, write_corrections

from ava_detect.errors import ConfigError, FormatError
from ava_detect.results.corrections.folder import write_info
from ava_detect.results.importing.import_labels import import_labels
from ava_detect.results.importing.recognize import SOURCES, recognize
from ava_detect.results.importing.videos import VideoLookup, keyframe_times
from ava_detect.results.measured_video import MeasuredVideo
from ava_detect.structures.labels import LabelMap

ROW = "movie,0002,0.1,0.25,0.5,0.75,12,3\n"


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (b"", "an empty file"),
        (b"PAR1\x00\x01", r"bytes that begin with b'PAR1\\x00\\x01'"),
        (b"just a sentence", "bytes that begin with b'just a sente'"),
        (b"a,b\n1,2\n", "a table that begins with a, b"),
        (b'{"answer\\u0007": 42}', r"json, an object with answer\\x07"),
        (b"[1, 2]", "json, a list"),
        (b"<html><body>x</body></html>", "xml, <html> with body"),
    ],
)
def test_unknown_content_is_described(tmp_path: Path, content: bytes, seen: str) -> None:
    path = tmp_path / "annotations.xml"
    path.write_bytes(content)
    with pytest.raises(
        FormatError, match=rf"not recognised as labels of a tool; it is {seen}\. These are read: "
    ) as error:
        recognize(path)
    assert "\a" not in str(error.value) and all(source.title in str(error.value) for source in SOURCES.values())


def test_what_cannot_be_looked_at(tmp_path: Path) -> None:
    (tmp_path / "deep").write_text("[" * 100_000)
    (tmp_path / "cut").write_text('{"a": [1, 2')
    with pytest.raises(FormatError, match=r"it is a folder with cut, deep\. These are read: .*; give the files in it"):
        recognize(tmp_path)
    for name, message in {"deep": "nested too deep", "cut": "no JSON", "absent": "No such file"}.items():
        with pytest.raises(FormatError, match=rf"{name}.*{message}"):
            recognize(tmp_path / name)
    with pytest.raises(FormatError, match=r"`source` is auto, .*cvat, .* got 'cvta' \(did you mean 'cvat'"):
        import_labels(tmp_path / "cut", tmp_path / "gt.csv", source="cvta")


def video(times: list[float]) -> MeasuredVideo:
    return MeasuredVideo("v", Path("v.mp4"), 100, 100, np.array(times))


def test_frames_at_multiples_get_their_times() -> None:
    """29.97 fps: a keyframe at 1 s shows the frame of 1.001 s; tools give one time or the other."""
    ntsc = video([number * 1001 / 30000 for number in range(120)])
    assert keyframe_times(ntsc, [0.0, 1.001, 1.0, 0.967633, 1.51818], 1.0) == {
        0.0: 0.0, 1.001: 1.0, 1.0: 1.0, 0.967633: 0.968, 1.51818: 1.518,
    }  # fmt: skip
    # Between the frames of a slow video, the one on display counts.
    assert keyframe_times(video([0.0, 0.4, 0.9, 1.3]), [0.9, 1.25, 0.4], 1.0) == {0.9: 1.0, 1.25: 1.0, 0.4: 0.4}
    # At 120 fps a keyframe at 1 s shows the second frame after it; both keep a time of their own.
    fast = video([number / 120 for number in range(240)])
    assert keyframe_times(fast, [120 / 120, 122 / 120], 1.0) == {120 / 120: 0.999, 122 / 120: 1.0}
    assert keyframe_times(None, [902.0000001, 0.1234567], 1.0) == {902.0000001: 902.0, 0.1234567: 0.123457}


@pytest.mark.parametrize(
    "name",
    [
        "movie", "movie.mp4", "MOVIE.mp4/../movie.mp4", "C:\\videos\\movie.mp4", "/data/upload/3/0a1b2c3d-movie.mp4",
        "/data/local-files/?d=films/movie.mp4", "file:///elsewhere/movie.mp4", "https://x.org/a%20b/movie.mp4?token=1",
    ],
)  # fmt: skip
def test_the_names_that_tools_give_videos(movies: Path, name: str) -> None:
    found = VideoLookup(movies).find(name)
    assert found is not None and (found.video_id, found.num_frames) == ("movie", 50)
    beside = VideoLookup(beside=[movies / "labels.json"]).find(name)
    assert beside is not None and beside.path.samefile(movies / "movie.mp4")


def test_two_videos_of_one_name(tmp_path: Path, movies: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "movie.mp4").write_bytes((movies / "movie.mp4").read_bytes())
    lookup = VideoLookup(tmp_path)
    found = lookup.find("films/a/movie.mp4")
    assert found is not None and found.path == tmp_path / "a" / "movie.mp4" and found.video_id == "a__movie.mp4"
    with pytest.raises(FormatError, match=r"movie\.mp4 may be any of .*a/movie\.mp4, .*b/movie\.mp4"):
        lookup.find("movie.mp4")


def test_the_folder_of_a_run_knows_its_videos_and_its_actions(tmp_path: Path, movies: Path) -> None:
    """Ids that are no names of files, and a label map of its own."""
    labels = {"text": 'label { name: "juggle" label_id: 5 }\nlabel { name: "stand" label_id: 6 }\n'}
    record = {"video_id": "take 1", "source": str(movies / "movie.mp4"), "status": "done", "outputs": []}
    lines = [{"settings": {"config": {"labels": labels}}}, record]
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    path = tmp_path / "labels.csv"
    path.write_text(
        "video,frame,x1,y1,x2,y2,action\ntake 1,20,32,60,160,180,stand\nmovie.mp4,30,32,60,160,180,juggle\n"
    )
    import_labels(path, tmp_path / "gt.csv", videos=tmp_path)
    assert (tmp_path / "gt.csv").read_text() == "take 1,0002,0.1,0.25,0.5,0.75,6\ntake 1,0003,0.1,0.25,0.5,0.75,5\n"


def test_labels_with_boxes_take_what_the_results_know(tmp_path: Path, movies: Path) -> None:
    """Id and path of the video, the start in its movie, and the label map; a start that is given has precedence."""
    run = tmp_path / "run"
    run.mkdir()
    labels = {"text": 'label { name: "juggle" label_id: 5 }\n'}
    record = {"video_id": "take 1", "source": str(movies / "movie.mp4"), "status": "done", "outputs": []}
    lines = [{"settings": {"config": {"labels": labels}, "start_seconds": 900.0}}, record]
    (run / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    path, out = tmp_path / "labels.csv", tmp_path / "gt.csv"
    path.write_text("video,frame,x1,y1,x2,y2,action\nmovie.mp4,20,32,60,160,180,juggle\n")
    for settings in ({"results": run}, {"videos": run}):
        import_labels(path, out, overwrite=True, **settings)
        assert out.read_text() == "take 1,0902,0.1,0.25,0.5,0.75,5\n"
    import_labels(path, out, results=run, start_seconds=100.0, overwrite=True)
    assert out.read_text().startswith("take 1,0102,")
    # Of the video's own times none; the video has moved.
    (run / "manifest.jsonl").write_text((run / "manifest.jsonl").read_text().replace(str(movies), "/nowhere"))
    with pytest.raises(FormatError, match=r"'movie\.mp4' is needed .* give the folder of the videos .`videos`"):
        import_labels(path, out, results=run, overwrite=True)
    import_labels(path, out, results=run, videos=movies, overwrite=True)
    assert out.read_text() == "take 1,0902,0.1,0.25,0.5,0.75,5\n"


def test_corrections_know_where_their_movies_start(tmp_path: Path) -> None:
    """The rows have the movie's seconds, as the csv of the results that were corrected has them."""
    found = {"v": {2.0: {1: ((0.1, 0.25, 0.5, 0.75), (12,))}}}
    for name, start in (("one", 900.0), ("other", 0.0)):
        folder = write_corrections(tmp_path / name, LabelMap.ava(), found, accepted(found))
        write_info(folder, "results", 0.5, LabelMap.ava(), start_seconds=start)
    import_labels(tmp_path / "one", tmp_path / "gt.csv")
    assert (tmp_path / "gt.csv").read_text() == "v,0902,0.1,0.25,0.5,0.75,12,1\n"
    with pytest.raises(ConfigError, match=r"one start at 900 s of their movies and .*other at 0 s; import one"):
        import_labels([tmp_path / "one", tmp_path / "other"], tmp_path / "both.csv")


def test_corrections_of_which_none_is_accepted_say_so(tmp_path: Path) -> None:
    found = {"v": {2.0: {1: ((0.1, 0.25, 0.5, 0.75), (12,))}}}
    folder = write_corrections(tmp_path / "c", LabelMap.ava(), found, {"v": [(2.0, "accept"), (2.0, "unaccept")]})
    with pytest.raises(FormatError, match="c: no keyframe is accepted yet; accept those that are right"):
        import_labels(folder, tmp_path / "gt.csv")


def test_no_file_is_lost(tmp_path: Path) -> None:
    """Inputs never; other files only where that was asked for; nothing is written where something is refused."""
    source = tmp_path / "labels.csv"
    source.write_text(ROW)
    for out in (source, tmp_path):
        with pytest.raises(ConfigError, match="`out`"):
            import_labels(source, out, overwrite=True)
    with pytest.raises(ConfigError, match="files of this name are written beside"):
        import_labels(source, tmp_path / "label_map.pbtxt")
    (tmp_path / "label_map.pbtxt").write_text("mine")
    with pytest.raises(ConfigError, match=r"label_map\.pbtxt exists"):
        import_labels(source, tmp_path / "gt.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["label_map.pbtxt", "labels.csv"]
    import_labels(source, tmp_path / "gt.csv", overwrite=True)
    with pytest.raises(ConfigError, match=r"gt\.csv exists"):
        import_labels(source, tmp_path / "gt.csv")
    assert source.read_text() == ROW == (tmp_path / "gt.csv").read_text()
    for settings in ({"every_seconds": 0.0}, {"start_seconds": float("nan")}, {"every_seconds": float("nan")}):
        with pytest.raises(ConfigError, match=f"`{next(iter(settings))}` is a time"):
            import_labels(source, tmp_path / "other.csv", **settings)
    with pytest.raises(ConfigError, match="`files` is empty"):
        import_labels([], tmp_path / "other.csv")


def test_imports_of_the_same_actions_share_a_folder(tmp_path):
    source = tmp_path / "labels.csv"
    source.write_text("video,timestamp,x1,y1,x2,y2,action\nv,1,0.1,0.1,0.5,0.5,stand\n")
    (tmp_path / "out").mkdir()
    for name in ("first.csv", "second.csv"):
        import_labels(source, tmp_path / "out" / name)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["first.csv", "label_map.pbtxt", "second.csv"]
    source.write_text("video,timestamp,x1,y1,x2,y2,action\nv,1,0.1,0.1,0.5,0.5,juggle\n")
    with pytest.raises(ConfigError, match=r"label_map\.pbtxt exists and has other actions than these labels"):
        import_labels(source, tmp_path / "out" / "third.csv")
    assert not (tmp_path / "out" / "third.csv").exists()


def test_several_files_are_one_ground_truth(tmp_path: Path) -> None:
    """The same row twice counts once."""
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text(ROW + ROW.replace("movie", "other"))
    two.write_text(ROW + ROW.replace(",12,", ",80,"))
    summary = import_labels([one, two], tmp_path / "gt.csv")
    assert (tmp_path / "gt.csv").read_text() == ROW + ROW.replace(",12,", ",80,") + ROW.replace("movie", "other")
    assert (summary.num_videos, summary.num_boxes, summary.num_rows, summary.sources) == (2, 2, 3, ("csv", "csv"))


def test_the_command(run_cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("labels").write_text(
        "video,time,x1,y1,x2,y2,action,mood\nm,1,0.1,0.25,0.5,0.75,juggle,good\nm,2,0,0,0,0,none,\n"
    )
    code, out, err = run_cli("import", "labels", "--out", "gt.csv")
    assert code == 0 and err == (
        "ava-detect: left out: 1 values of the column 'mood'\n"
        "ava-detect: left out: 1 boxes without an area in the frame\n"
    )
    assert (
        out
        == "csv: 1 row of 1 box on 1 keyframe of 1 video.\n1 action with new ids: juggle.\ngt.csv\nlabel_map.pbtxt\n"
    )
    code, out, err = run_cli("import", "labels", "--out", "gt.csv", "--quiet")
    assert (code, out) == (2, "") and err.endswith(
        "gt.csv exists and may be from an earlier import or your own work, so it is not replaced; move it away or "
        "choose another name, or give --overwrite\n"
    )
    code, out, err = run_cli("import", "gt.csv", "--from", "nope", "--out", "x.csv")
    assert (code, out) == (2, "") and err.startswith("ava-detect: --from is auto, ")
    code, _, err = run_cli("import", "gt.csv", "--out", "x.csv", "--every", "0")
    assert code == 2 and "--every" in err
