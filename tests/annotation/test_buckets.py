"""From bucket to bucket over a real S3 interface on the loopback, whether the store behaves or not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from annotate_inputs import options
from buckets import NUM_VIDEOS, fill, rows_in, rows_on_disk, run
from fault_proxy import FaultProxy
from moto_server import SECRET, connect, s3_server

from ava_detect.results.collect import collect_csv
from ava_detect.results.status import results_status
from ava_detect.storage.cache import CACHE_VARIABLE

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warm_workers")]


@pytest.fixture(scope="module")
def server():
    with s3_server() as url:
        yield url


@pytest.fixture(scope="module")
def place(server, tmp_path_factory):
    """Videos in a bucket, and their boxes and a network on this machine."""
    folder = tmp_path_factory.mktemp("bucket")
    with pytest.MonkeyPatch.context() as patch:
        fill(folder, connect(patch, server))
    return folder


@pytest.fixture(scope="module")
def expected(place) -> pd.DataFrame:
    return rows_on_disk(place)


def test_bucket_to_bucket_gives_the_rows_of_the_disk(place, server, expected, monkeypatch, tmp_path):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    files = connect(monkeypatch, server)
    files.mkdir("fine")
    files.put_file(str(place / "boxes.csv"), "fine/boxes.csv")
    summary = run(place, "s3://fine/out", boxes="s3://fine/boxes.csv")
    assert summary.all_well
    assert summary.totals.done == NUM_VIDEOS
    pd.testing.assert_frame_equal(rows_in(files, "fine/out"), expected)
    assert results_status("s3://fine/out").num_done == NUM_VIDEOS
    assert collect_csv("s3://fine/out", tmp_path / "all.csv").rows == len(expected)
    again = run(place, "s3://fine/out", boxes="s3://fine/boxes.csv")
    assert (again.totals.done, again.num_before) == (0, NUM_VIDEOS)


def test_a_store_that_fails_loses_nothing_and_doubles_nothing(place, server, expected, monkeypatch):
    connect(monkeypatch, server).mkdir("bad")
    # What the libraries ask again for is then left to the package, which waits for less long.
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with FaultProxy.before(server, refuse=0.2, cut=0.2, slow_seconds=0.1) as proxy:
        connect(monkeypatch, proxy.url)
        summary = run(place, "s3://bad/out")
    files = connect(monkeypatch, server)
    assert summary.all_well, [record.message for record in summary.videos]
    assert min(proxy.counts[fault] for fault in ("refused", "cut", "lost")) > 0, proxy.counts
    pd.testing.assert_frame_equal(rows_in(files, "bad/out"), expected)
    assert len(files.find("bad/out/rows")) == NUM_VIDEOS


def test_secrets_are_in_no_message_and_no_object(place, server, monkeypatch, run_cli):
    files = connect(monkeypatch, server)
    files.mkdir("secret")
    settings = options(place)
    code, out, err = run_cli(
        "annotate", f"s3://somebody:{SECRET}@videos/in/gone.mp4", f"http://u:{SECRET}@127.0.0.1:9/a.mp4?sig={SECRET}",
        "s3://videos/in/v00.mp4", "--out", "s3://secret/out", "--workers", "1", "--tries", "1", *settings,
    )  # fmt: skip
    assert code == 1
    assert "gone.mp4" in err
    assert SECRET not in out + err
    code, out, err = run_cli("status", "s3://secret/out")
    assert code == 1
    assert "1 of 3 videos done" in out
    assert SECRET not in out + err
    assert not any(SECRET.encode() in files.cat_file(path) for path in files.find("secret"))
    code, out, err = run_cli("annotate", "s3://videos/in", "--out", "s3://there-is-no-such-bucket/x", *settings)
    assert code in (1, 2)
    assert "there-is-no-such-bucket" in err
    assert "Traceback" not in err
    assert SECRET not in out + err


def test_frames_through_s3_are_those_of_the_file(place, server, monkeypatch):
    from ava_detect.video.reader import VideoReader

    connect(monkeypatch, server)
    here, there = VideoReader(place / "v01.mp4"), VideoReader("s3://videos/in/v01.mp4")
    for ours, theirs in zip(here, there, strict=True):
        np.testing.assert_array_equal(ours.image, theirs.image)
