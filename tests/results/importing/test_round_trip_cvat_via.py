"""Hand over to CVAT and VIA, change nothing or something, and import: the same rows, or the changed ones."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from round_trip import PHONE, REAL_VIDEOS, STAND, TALK, WATCH, Row, largest_difference, rows_of, write_real_results

from ava_detect.results.export.hand_over import hand_over
from ava_detect.results.importing.import_labels import import_labels
from ava_detect.results.saved import ReadOptions
from ava_detect.structures.labels import LabelMap
from ava_detect.video.reader import VideoReader

# Half of the last decimal of a box in pixels.
ROUNDING_PIXELS = {"cvat": 0.005, "via": 0.001}
# Half of the last decimal of the csv, and of float32 in the results.
CSV_ROUNDING = 1e-6


def exported(shared: Path, folder: Path, video: str, tool: str) -> tuple[Path, list[Row]]:
    """The file that is edited in the tool, and the rows that come back if it is not."""
    rows = write_real_results(folder / "results", video)
    files = hand_over(folder / "results", tool, folder / "out", ReadOptions(shared / "videos")).files
    return next(path for path in files if path.name != "labels.json"), rows


@pytest.mark.parametrize("tool", ROUNDING_PIXELS)
@pytest.mark.parametrize("video", REAL_VIDEOS)
def test_what_was_not_changed_comes_back(shared: Path, tmp_path: Path, video: str, tool: str) -> None:
    file, rows = exported(shared, tmp_path, video, tool)
    _, every = REAL_VIDEOS[video]
    # A copy beside no video, under a name that tells nothing.
    copy = file.rename(tmp_path / "download")
    summary = import_labels(copy, tmp_path / "gt.csv", videos=shared / "videos", every_seconds=every)
    assert summary.sources == (tool,) and summary.new_actions == ()
    assert all("timeline" in what for what in summary.dropped)
    info = VideoReader(shared / "videos" / video).info
    side = min(info.unstretched_size if tool == "cvat" else (info.width, info.height))
    assert largest_difference(rows_of(tmp_path / "gt.csv"), rows) <= ROUNDING_PIXELS[tool] / side + CSV_ROUNDING
    assert len(LabelMap.from_pbtxt(tmp_path / "label_map.pbtxt")) == 80


@pytest.mark.parametrize("video", REAL_VIDEOS)
def test_changes_in_cvat(shared: Path, tmp_path: Path, video: str) -> None:
    """A box is moved, an action is unticked and another ticked, a track is deleted, and a person is drawn."""
    file, rows = exported(shared, tmp_path, video, "cvat")
    tree = ElementTree.parse(file)
    root = tree.getroot()
    first, second = root.findall("track")
    root.remove(second)
    box = first.find("box")
    assert box is not None and box.get("frame") == "0"
    size = [float(root.findtext(f"meta/task/original_size/{side}") or 0) for side in ("width", "height")]
    box.set("xbr", f"{0.5 * size[0]:.2f}")
    for attribute in box.findall("attribute"):
        if attribute.get("name") == "stand":
            attribute.text = "false"
    ElementTree.SubElement(box, "attribute", {"name": "answer phone"}).text = "true"
    drawn = ElementTree.SubElement(root, "track", {"id": "7", "label": "person", "source": "manual"})
    corners = {"xtl": "0.00", "ytl": "0.00", "xbr": f"{size[0]:.2f}", "ybr": f"{size[1]:.2f}"}
    ElementTree.SubElement(drawn, "box", {"frame": "0", "outside": "0", "occluded": "1", "keyframe": "1", **corners})
    ElementTree.SubElement(drawn, "box", {"frame": "1", "outside": "1", "occluded": "1", "keyframe": "1", **corners})
    tree.write(file)
    import_labels(file, tmp_path / "gt.csv", videos=shared / "videos")
    (x1, y1, _, y2), others = rows[0].box, [row for row in rows if row.person == 4 and row.seconds > 0]
    expected = [rows[0]._replace(box=(x1, y1, 0.5, y2), action_id=action) for action in (PHONE, WATCH)]
    expected += [*others, rows[0]._replace(box=(0, 0, 1, 1), action_id=-1, person=7)]
    # As in CVAT, a checkbox stays ticked on the following keyframes, which say nothing of it.
    expected += [row._replace(action_id=PHONE) for row in others if row.action_id == STAND]
    got = rows_of(tmp_path / "gt.csv")
    if video == "dc_video_90.mov":
        # Without --every, a frame off the whole seconds has its own time: 0.05 s shows the frame of 0.067 s.
        got = [row._replace(seconds=0.05) if row.seconds == 0.067 else row for row in got]
    assert largest_difference(got, expected) <= 0.005 / min(size) + CSV_ROUNDING


@pytest.mark.parametrize("video", REAL_VIDEOS)
def test_changes_in_via(shared: Path, tmp_path: Path, video: str) -> None:
    file, rows = exported(shared, tmp_path, video, "via")
    project = json.loads(file.read_text())
    regions = {key: entry for key, entry in project["metadata"].items() if entry["xy"]}
    first = next(key for key, entry in regions.items() if entry["z"] == [0] and entry["av"]["1"] == "4")
    gone = next(key for key, entry in regions.items() if entry["z"] == [0] and entry["av"]["1"] == "9")
    width, height = (getattr(VideoReader(shared / "videos" / video).info, side) for side in ("width", "height"))
    project["metadata"][first].update(xy=[2, 0, 0, width / 2, height], av={"1": "4", "2": f"{PHONE},{TALK}"})
    del project["metadata"][gone]
    # VIA drawn regions have its own ids and the time of the player.
    project["metadata"]["1_aB3dE5gH"] = {
        "vid": "1", "flg": 0, "z": [0.06], "xy": [2, 0, 0, width, height / 4], "av": {"1": "Anna", "2": ""},
    }  # fmt: skip
    file.write_text(json.dumps(project))
    import_labels(file, tmp_path / "gt.csv", videos=shared / "videos", every_seconds=REAL_VIDEOS[video][1])
    expected = [row for row in rows if row.seconds > 0]
    expected += [Row(rows[0].video_id, 0.0, (0, 0, 0.5, 1), action, 4) for action in (PHONE, TALK)]
    assert STAND not in (PHONE, TALK)
    got = rows_of(tmp_path / "gt.csv")
    (new,) = [row for row in got if row.person == 1 + max(row.person for row in expected)]
    assert (new.action_id, new.box) == (-1, (0, 0, 1, 0.25)), "a name gets the number after the largest"
    got.remove(new)
    assert largest_difference(got, expected) <= 0.001 / min(width, height) + CSV_ROUNDING
