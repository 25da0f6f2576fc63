"""CVAT's xml: tracks, images, downloads as zip files, and what people change in them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from videos import constant_rate, write_numbered_video

from ava_detect.errors import FormatError
from ava_detect.formats.ava_csv import read_ava_csv
from ava_detect.results.importing.import_labels import import_labels

META = """<meta><task><id>7</id><name>my task</name><mode>interpolation</mode><labels><label><name>person</name>
<attributes>
<attribute><name>stand</name><mutable>True</mutable><input_type>checkbox</input_type><default_value>false</default_value><values></values></attribute>
<attribute><name>action</name><mutable>True</mutable><input_type>select</input_type><default_value>none</default_value><values>none
walk
run/jog</values></attribute>
<attribute><name>gender</name><mutable>False</mutable><input_type>radio</input_type><default_value></default_value><values>f
m</values></attribute>
</attributes></label><label><name>car</name><attributes></attributes></label></labels>
<original_size><width>320</width><height>240</height></original_size><source>movie.mp4</source></task></meta>"""


def box(frame: int, x: float = 32, *, outside: int = 0, keyframe: int = 1, more: str = "", **attributes: str) -> str:
    texts = "".join(f'<attribute name="{name}">{value}</attribute>' for name, value in attributes.items())
    return (
        f'<box frame="{frame}" outside="{outside}" occluded="0" keyframe="{keyframe}" xtl="{x}" ytl="24" '
        f'xbr="{x + 64}" ybr="120" z_order="0"{more}>{texts}</box>'
    )


def track(*boxes: str, label: str = "person", number: int = 3) -> str:
    return f'<track id="{number}" label="{label}" source="manual">{"".join(boxes)}</track>'


def document(*parts: str, meta: str = META) -> str:
    start = '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>'
    return f"{start}{meta}{''.join(parts)}</annotations>"


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seconds, ten frames a second."""
    folder = tmp_path_factory.mktemp("movies")
    return write_numbered_video(folder / "movie.mp4", constant_rate(50, 10), rate=10, width=320, height=240)


def imported(tmp_path: Path, movie: Path, text: str, **settings: object):
    path = tmp_path / "job.dump"
    path.write_text(text)
    summary = import_labels(path, tmp_path / "gt.csv", videos=movie.parent, overwrite=True, **settings)
    table = read_ava_csv(tmp_path / "gt.csv", last_column="person_id")
    rows = zip(table.timestamps_seconds, table.boxes_fraction.tolist(), table.action_ids, table.person_ids, strict=True)
    return summary, [(t, box, int(action), int(person)) for t, box, action, person in rows]


BOX = [0.1, 0.1, 0.3, 0.5]


def test_keyframes_of_a_track_and_what_its_attributes_keep(tmp_path: Path, movie: Path) -> None:
    """Only frames that a person labelled; an attribute that is not named again keeps its value."""
    text = document(
        track(
            box(0, stand="true", action="none", gender="f"),
            box(4, 64, keyframe=0),
            box(10, 96, action="walk"),
            box(15, 96, stand="false"),
            box(20, 96, outside=1),
        )
    )
    summary, rows = imported(tmp_path, movie, text)
    right = [0.3, 0.1, 0.5, 0.5]
    assert rows == [(0, BOX, 12, 3), (1, right, 12, 3), (1, right, 14, 3), (1.5, right, 14, 3)]
    assert summary.dropped == {"values of the attribute 'gender'": 3}
    assert summary.new_actions == () and (tmp_path / "label_map.pbtxt").read_text().count("label {") == 3


def test_multiples_are_interpolated_on_demand(tmp_path: Path, movie: Path) -> None:
    """Straight between keyframes, not while the person is outside, and after the last keyframe to the end."""
    text = document(
        track(box(0, stand="true"), box(8, 96, outside=1), box(12, 32, stand="false"), box(22, 32, action="run/jog"))
    )
    _, rows = imported(tmp_path, movie, text, every_seconds=0.5)
    moved = [0.225, 0.1, 0.425, 0.5]
    assert rows == [
        (0, BOX, 12, 3), (0.5, moved, 12, 3), (1.2, BOX, -1, 3), (1.5, BOX, -1, 3), (2, BOX, -1, 3),
        (2.2, BOX, 10, 3), *((t / 2, BOX, 10, 3) for t in range(5, 10)),
    ]  # fmt: skip


def test_a_download_is_a_zip_file(tmp_path: Path, movie: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("annotations.xml", document(track(box(10, stand="true"))))
    path = tmp_path / "task_7.zip"
    path.write_bytes(content.getvalue())
    assert import_labels(path, tmp_path / "gt.csv", videos=movie.parent).num_rows == 1
    path.write_bytes(content.getvalue()[:-30])
    with pytest.raises(FormatError, match=r"task_7\.zip: the zip file cannot be read"):
        import_labels(path, tmp_path / "other.csv", videos=movie.parent)
