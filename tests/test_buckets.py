"""From bucket to bucket over a real S3 interface on the loopback, whether the store behaves or not."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fault_proxy import FaultProxy
from helpers import constant_rate, small_config_file, write_numbered_video
from ray_nodes import killing_actors, two_nodes

from ava_detect.annotate import annotate_videos
from ava_detect.collect import collect_csv, dataset_status
from ava_detect.formats.ava_csv import AvaTable, write_ava_table

pytestmark = pytest.mark.slow
NUM_VIDEOS = int(os.environ.get("AVA_DETECT_BUCKET_VIDEOS", "6"))
SECRET = "a-secret-that-nobody-may-see"


@pytest.fixture(scope="module")
def server():
    """moto's S3, in this process."""
    pytest.importorskip("s3fs", reason="s3fs is not installed (the extra [s3])")
    moto = pytest.importorskip("moto.server", reason="moto's server is not installed")
    server = moto.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()
    server.stop()


@pytest.fixture(scope="module")
def place(server, tmp_path_factory):
    """Videos in a bucket, and beside this machine's files a network that runs in milliseconds."""
    folder = tmp_path_factory.mktemp("bucket")
    small_config_file(folder)
    rows = []
    with pytest.MonkeyPatch.context() as patch:
        files = connect(patch, "http://{}:{}".format(*server))
        files.mkdir("videos")
        for number in range(NUM_VIDEOS):
            name = f"v{number:02}"
            video = write_numbered_video(folder / f"{name}.mp4", constant_rate(30 + 5 * number, 30))
            files.put_file(str(video), f"videos/in/{name}.mp4")
            rows += [(name, second, (0.1, 0.2, 0.6, 0.9)) for second in range(7)]
    ids, times, boxes = zip(*rows, strict=True)
    write_ava_table(folder / "boxes.csv", AvaTable.from_columns(ids, times, boxes, scores=[0.9] * len(rows)))
    return folder


def connect(patch, url):
    import s3fs

    for name, value in (
        ("AWS_ENDPOINT_URL", url),
        ("AWS_ACCESS_KEY_ID", "somebody"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        patch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    return s3fs.S3FileSystem(use_listings_cache=False)


def run(place, out, *sources, **settings):
    defaults = {"config": str(place / "small.yaml"), "weights": "random", "boxes": place / "boxes.csv", "workers": 1}
    return annotate_videos(list(sources) or ["s3://videos/in"], out, **{**defaults, **settings})


def rows_in(files, out) -> pd.DataFrame:
    tables = [pd.read_parquet(io.BytesIO(files.cat_file(path))) for path in files.find(f"{out}/rows")]
    table = pd.concat(tables).astype({"video_id": str})
    return table.sort_values(["video_id", "timestamp_seconds", "action_id"]).reset_index(drop=True)


@pytest.fixture(scope="module")
def expected(place) -> pd.DataFrame:
    """The rows of the same videos from this machine's disk."""
    run(place, f"file://{place}/out", *sorted(place.glob("*.mp4")))
    table = pd.concat([pd.read_parquet(path) for path in Path(place, "out", "rows").rglob("*.parquet")])
    table = table.astype({"video_id": str}).drop(columns="shard", errors="ignore")
    return table.sort_values(["video_id", "timestamp_seconds", "action_id"]).reset_index(drop=True)


def test_bucket_to_bucket_gives_the_rows_of_the_disk(place, server, expected, monkeypatch, tmp_path):
    files = connect(monkeypatch, "http://{}:{}".format(*server))
    files.mkdir("fine")
    summary = run(place, "s3://fine/out")
    assert summary.all_well
    assert summary.totals.done == NUM_VIDEOS
    pd.testing.assert_frame_equal(rows_in(files, "fine/out"), expected)
    assert dataset_status("s3://fine/out").num_done == NUM_VIDEOS
    assert collect_csv("s3://fine/out", tmp_path / "all.csv").rows == len(expected)
    again = run(place, "s3://fine/out")
    assert (again.totals.done, again.num_before) == (0, NUM_VIDEOS)


@pytest.mark.parametrize("faults", [{"refuse": 0.2}, {"cut": 0.2}, {"refuse": 0.1, "cut": 0.1, "slow_seconds": 0.2}])
def test_a_store_that_fails_loses_nothing_and_doubles_nothing(place, server, expected, monkeypatch, faults):
    name = "bad" + "-".join(faults).replace("_", "-")
    connect(monkeypatch, "http://{}:{}".format(*server)).mkdir(name)
    with FaultProxy(*server, **faults) as proxy:
        connect(monkeypatch, proxy.url)
        summary = run(place, f"s3://{name}/out")
    files = connect(monkeypatch, "http://{}:{}".format(*server))
    assert summary.all_well, [record.message for record in summary.videos]
    assert proxy.counts["refused"] + proxy.counts["cut"] > 2
    pd.testing.assert_frame_equal(rows_in(files, f"{name}/out"), expected)
    assert len(files.find(f"{name}/out/rows")) == NUM_VIDEOS


@pytest.fixture(scope="module")
def cluster(server):
    """Ray on two nodes, which have the store's keys from their environment."""
    with pytest.MonkeyPatch.context() as patch:
        connect(patch, "http://{}:{}".format(*server))
        with two_nodes() as cluster:
            yield cluster


def test_a_cluster_gives_the_rows_of_one_machine(place, server, cluster, expected, monkeypatch):
    files = connect(monkeypatch, "http://{}:{}".format(*server))
    files.mkdir("ray")
    summary = run(place, "s3://ray/out", engine="ray", workers="auto")
    assert summary.all_well
    pd.testing.assert_frame_equal(rows_in(files, "ray/out"), expected)
    assert len(files.find("ray/out/rows")) == NUM_VIDEOS
    # The same videos by the other engine are found done.
    assert run(place, "s3://ray/out").num_before == NUM_VIDEOS


def test_a_cluster_whose_actors_die_gives_the_same_rows(place, server, cluster, expected, monkeypatch):
    files = connect(monkeypatch, "http://{}:{}".format(*server))
    files.mkdir("killed")
    with killing_actors(seconds=4.0, times=2) as killed:
        summary = run(place, "s3://killed/out", engine="ray", workers=2)
    assert killed
    assert summary.all_well
    pd.testing.assert_frame_equal(rows_in(files, "killed/out"), expected)


def test_secrets_are_in_no_message_and_no_object(place, server, monkeypatch, run_cli):
    files = connect(monkeypatch, "http://{}:{}".format(*server))
    files.mkdir("secret")
    settings = ["--config", place / "small.yaml", "--weights", "random", "--boxes", place / "boxes.csv"]
    code, out, err = run_cli(
        "annotate", f"s3://somebody:{SECRET}@videos/in/gone.mp4", f"http://u:{SECRET}@127.0.0.1:9/a.mp4?sig={SECRET}",
        "s3://videos/in/v00.mp4", "--out", "s3://secret/out", "--workers", "1", *settings,
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

    connect(monkeypatch, "http://{}:{}".format(*server))
    here, there = VideoReader(place / "v01.mp4"), VideoReader("s3://videos/in/v01.mp4")
    for ours, theirs in zip(here, there, strict=True):
        np.testing.assert_array_equal(ours.image, theirs.image)
