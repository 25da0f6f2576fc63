"""CVAT's xml: tracks, images, downloads as zip files, and what people change in them."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pytest
from round_trip import Row

from ava_detect.errors import FormatError

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


BOX = (0.1, 0.1, 0.3, 0.5)
RIGHT = (0.3, 0.1, 0.5, 0.5)


def row(seconds: float, box: tuple[float, float, float, float], action: int, person: int = 3) -> Row:
    return Row("movie", seconds, box, action, person)


def test_keyframes_of_a_track_and_what_its_attributes_keep(imported, movies: Path, tmp_path: Path) -> None:
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
    summary, rows = imported(text, videos=movies)
    assert rows == [row(0, BOX, 12), row(1, RIGHT, 12), row(1, RIGHT, 14), row(1.5, RIGHT, 14)]
    assert summary.dropped == {"values of the attribute 'gender'": 3}
    assert summary.new_actions == () and (tmp_path / "label_map.pbtxt").read_text().count("label {") == 3


def test_multiples_are_interpolated_on_demand(imported, movies: Path) -> None:
    """Straight between keyframes, not while the person is outside, and after the last keyframe to the end."""
    text = document(
        track(box(0, stand="true"), box(8, 96, outside=1), box(12, 32, stand="false"), box(22, 32, action="run/jog"))
    )
    _, rows = imported(text, videos=movies, every_seconds=0.5)
    assert rows == [
        row(0, BOX, 12), row(0.5, (0.225, 0.1, 0.425, 0.5), 12), row(1.2, BOX, -1), row(1.5, BOX, -1), row(2, BOX, -1),
        row(2.2, BOX, 10), *(row(t / 2, BOX, 10) for t in range(5, 10)),
    ]  # fmt: skip


def test_a_frame_that_one_person_is_labelled_on_has_all_that_are_visible(imported, movies: Path) -> None:
    """Person 3 walks from 0 to 1 s and is gone after 1.5 s; person 4, set at 0.5 s alone, stays; so does a car."""
    moving = track(box(0, action="walk"), box(10, 96, action="none"), box(15, 96, outside=1))
    staying = track(box(5, 160, stand="true"), number=4)
    parked = track(box(3), box(7, 96), label="car", number=5)
    _, rows = imported(document(moving, staying, parked), videos=movies)
    assert rows == [
        row(0, BOX, 14),
        row(0.5, (0.2, 0.1, 0.4, 0.5), 14), row(0.5, (0.5, 0.1, 0.7, 0.5), 12, 4),
        row(1, RIGHT, -1), row(1, (0.5, 0.1, 0.7, 0.5), 12, 4),
    ]  # fmt: skip


def test_what_is_no_box_of_a_person_is_counted(imported, movies: Path) -> None:
    polygon = '<polygon frame="0" outside="0" occluded="0" keyframe="1" points="1,1;2,2;3,3" z_order="0"></polygon>'
    turned = box(10, more=' rotation="90"', stand="true")
    tracks = [track(polygon), track(box(0), label="car"), track(turned), track(box(70)), track(box(10, 300), number=4)]
    summary, rows = imported(document(*tracks), videos=movies)
    # Turned about its middle, 64 x 96 pixels become 96 x 64; the other reaches 44 pixels past the right side.
    assert rows == [row(1, (0.05, 0.166667, 0.35, 0.433333), 12), row(1, (0.9375, 0.1, 1, 0.5), -1, 4)]
    assert summary.dropped == {
        "polygons": 1,
        "boxes of the label 'car'": 1,
        "rotations of boxes, of which the upright box around them was taken": 1,
        "boxes on frames after the end of the video": 1,
        "parts of boxes outside the frame": 1,
    }


def test_labels_that_are_the_actions(imported, movies: Path) -> None:
    """A project without a label for people; one of its names is known to AVA, the other is not."""
    labels = "".join(f"<label><name>{name}</name><attributes/></label>" for name in ("walk", "juggle"))
    meta = re.sub("<labels>.*</labels>", f"<labels>{labels}</labels>", META, flags=re.DOTALL)
    text = document(track(box(0), label="juggle", number=0), track(box(0), label="walk", number=1), meta=meta)
    summary, rows = imported(text, videos=movies)
    assert rows == [row(0, BOX, 81, 0), row(0, BOX, 14, 1)] and summary.new_actions == ("juggle",)


def test_images(imported, movies: Path) -> None:
    """Named by their second, or frames of the task's video; several labels of one box are separate boxes in CVAT."""
    stand = box(0, stand="true").replace('frame="0" outside="0" ', "").replace(' keyframe="1"', "")
    image = '<image id="{0}" name="{1}" width="320" height="240">{2}</image>'
    images = [image.format(0, "movie/0902.jpg", stand), image.format(1, "movie/0903.jpg", "")]
    summary, rows = imported(document(*images), start_seconds=900)
    assert rows[0] == row(902, BOX, 12, -1) and rows[1][:2] == ("movie", 903) and summary.num_keyframes == 2
    images = [image.format(20, "frame_000020", stand), image.format(21, "frame_000021", "")]
    assert imported(document(*images), videos=movies)[1] == [row(2, BOX, 12, -1)], "frames without boxes are not labels"
    with pytest.raises(FormatError, match=r"the name of an image ends in its second .*, got 'x\.jpg'"):
        imported(document(image.format(0, "x.jpg", stand)), videos=movies)


def test_a_download_is_a_zip_file(imported, movies: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("annotations.xml", document(track(box(10, stand="true"))))
    assert imported(content.getvalue(), videos=movies)[1] == [row(1, BOX, 12)]
    with pytest.raises(FormatError, match="labels: the zip file cannot be read"):
        imported(content.getvalue()[:-30], videos=movies)
    damaged = content.getvalue().replace(b"annotations.xml", b"annotations.xmL")
    with pytest.raises(FormatError, match=r"labels: not recognised as labels of a tool; it is a zip file with annota"):
        imported(damaged, videos=movies)


BOMB = """<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;&x;&x;">]>
<annotations><meta><task><name>&y;</name></task></meta></annotations>"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "the xml cannot be read .it has a document type declaration"),
        (
            BOMB.replace("<!DOCTYPE", "<!DOCTYPE annotations SYSTEM 'file:///etc/passwd'><!--").replace("]>", "-->"),
            "docu",
        ),
        (document(track(box(0)))[:-30], "the xml cannot be read .(no element found|unclosed token)"),
        ("<annotations><meta>" + "<a>" * 200 + "</a>" * 200 + "</meta></annotations>", "nested more than 100 deep"),
        (
            document(track(box(0).replace('xtl="32"', 'xtl="nan"'))),
            "track 3, frame 0: xtl is a finite number, got 'nan'",
        ),
        (document(track(box(0).replace('xbr="96"', ""))), "track 3, frame 0: xbr is a finite number, got None"),
        (document(track(box(0, 1e9))), "track 3, frame 0: a box has finite corners near the frame"),
        (document(track(box(0).replace('frame="0"', 'frame="-1"'))), "track 3: frame is a whole number from 0, got -1"),
        (
            document(track(box(0)), meta=META.replace(">320<", ">240<")),
            "frames of 240 x 240 pixels, and those of .*320 x",
        ),
        (document(track(box(0)), meta=META.replace("movie.mp4", "\x1b[2J.mp4")), r"the xml cannot be read"),
        (
            document(track(box(0)), meta=META.replace("movie.mp4", "film.mp4")),
            r"the video 'my task' or 'film.mp4' is need",
        ),
        (document(), "no people are labelled in it; nothing was written"),
    ],
)
def test_hostile_and_broken_files(imported, movies: Path, tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        imported(text, videos=movies)
    assert not (tmp_path / "gt.csv").exists()
