"""A temporary folder on a disk that is really full: the videos that need room are named, the others go on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from annotate_inputs import settings, write_boxes
from buckets import rows_below
from networks import small_config_file
from videos import constant_rate, write_noise_video, write_numbered_video
from web_server import serve_folder, serving

from ava_detect.annotation.annotate import annotate_videos

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warm_workers")]
CROWD = 300


@pytest.fixture
def tiny(tmp_path):
    """A disk of half a megabyte, as a function that gives it another size."""
    folder = tmp_path / "tiny"
    folder.mkdir()

    def mount(size: str, *, again: bool = True) -> Path:
        options = f"remount,size={size}" if again else f"size={size}"
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True, check=False
        )
        if made.returncode:
            pytest.skip(f"no small disk can be mounted here: {made.stderr.strip()}")
        return folder

    try:
        mount("512k", again=False)
    except FileNotFoundError:
        pytest.skip("this system has no command mount")
    yield mount
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def web(tmp_path):
    """A folder, and its address."""
    (tmp_path / "web").mkdir()
    with serving(serve_folder(tmp_path / "web")) as url:
        yield tmp_path / "web", url


def test_a_full_disk_fails_only_the_videos_that_need_room(tmp_path, tiny, web, monkeypatch):
    """``crowd`` has rows for more than half a megabyte; ``noise`` has to be copied from a server before it is read."""
    pytest.importorskip("aiohttp", reason="http:// needs aiohttp")
    folder, url = web
    small_config_file(tmp_path)
    for path in (tmp_path / "crowd.mp4", tmp_path / "one.mp4", folder / "two.mp4"):
        write_numbered_video(path, constant_rate(10, 30))
    write_noise_video(folder / "noise.mp4", 30, options={"qp": "4"})
    assert (folder / "noise.mp4").stat().st_size > 512 << 10 > 8 * (folder / "two.mp4").stat().st_size
    names = ["crowd"] * CROWD + ["one", "two", "noise"]
    corners = [(number % 20 / 20, number // 20 / 20) for number in range(CROWD)] + 3 * [(0.5, 0.5)]
    boxes = [(x, y, x + 0.04, y + 0.04) for x, y in corners]
    write_boxes(tmp_path / "boxes.csv", [(name, 0, box) for name, box in zip(names, boxes, strict=True)])
    monkeypatch.setenv("TMPDIR", str(tiny("512k")))
    sources = [tmp_path / "crowd.mp4", f"{url}/noise.mp4?sig=abcdefgh", tmp_path / "one.mp4", f"{url}/two.mp4"]

    def annotate():
        return annotate_videos(sources, f"file://{tmp_path}/out", workers=1, formats=("csv",), **settings(tmp_path))

    summary = annotate()
    assert (summary.totals.done, summary.totals.failed) == (2, 2)
    full = (
        rf": the disk of the temporary folder {tmp_path}/tiny is full (0 MiB are free); make room there, or set TMPDIR "
        "to a folder on a larger disk (2 tries)"
    )
    messages = {record.video_id: record.message for record in summary.videos}
    assert messages == {"crowd": f"{tmp_path}/crowd.mp4{full}", "noise": f"{url}/noise.mp4?...{full}"}
    assert sorted(set(rows_below(tmp_path / "out")["video_id"])) == ["one", "two"]
    written = [path.name.partition("-")[0] for path in (tmp_path / "out").glob("*/shard=*/*")]
    assert sorted(written) == ["one", "one", "two", "two"]
    assert not list((tmp_path / "tiny").iterdir())

    tiny("16m")
    healed = annotate()
    assert healed.all_well
    assert (healed.totals.done, healed.num_before) == (2, 2)
    assert len(rows_below(tmp_path / "out")) == 80 * len(names)
    assert not list((tmp_path / "tiny").iterdir())
