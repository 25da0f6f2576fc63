"""``ava-detect annotate VIDEO`` and nothing else, with a server on the loopback in the place of the zoo's addresses."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from annotate_inputs import BOX, write_boxes
from networks import build_model, save_pyslowfast
from web_server import serve_folder, serving

from ava_detect import annotate_videos, read_ava_csv
from ava_detect.config.choice import choose_network
from ava_detect.datasets.synthetic.world import WorldSettings, write_world
from ava_detect.errors import ChoiceWarning, ConfigError, WeightsError
from ava_detect.models import zoo, zoo_download
from ava_detect.models.weights import convert
from ava_detect.models.zoo_choice import default_for
from ava_detect.models.zoo_table import ZOO
from ava_detect.storage.outputs import DEFAULT_OUT

ROW = default_for("cpu")
UNREACHABLE = "http://127.0.0.1:9/B.pyth"
# In the place of the builtin detector where it does not matter; on one keyframe.
ONE_PERSON = ("--every", "2", "--boxes", "boxes.csv")
NO_DOWNLOAD = (
    "cannot be read: [Errno 111] Connection refused; download that address by other means, and put the file at "
    "{path}, in the folder that AVA_DETECT_CACHE can change, or give it as --weights FILE; --weights demo, and the "
    "command `ava-detect demo`, show the software without a download\n"
)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A movie of 2 s, with people whom the builtin detector finds; and the demo weights as PySlowFast writes them."""
    folder = tmp_path_factory.mktemp("world")
    write_world(folder, WorldSettings(seed=28, seconds=2.0, fps=15))
    (folder / "zoo").mkdir()
    convert(zoo.SHIPPED["demo"], folder / "zoo" / "demo.pyth", to="pyslowfast")
    return folder


@pytest.fixture
def here(world, tmp_path, cache, monkeypatch) -> Path:
    """A fresh folder with a video, where one stands; nobody answers at the zoo's address, and the cache is empty."""
    folder = tmp_path / "fresh"
    folder.mkdir()
    write_boxes(folder / "boxes.csv", [("video", 0, BOX)])
    (folder / "video.mp4").write_bytes((world / "videos" / "movie_000.mp4").read_bytes())
    monkeypatch.chdir(folder)
    monkeypatch.setattr(zoo_download, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setitem(ZOO, ROW.name, replace(ROW, address=UNREACHABLE, config="demo"))
    return folder


@pytest.fixture
def served(world, here, monkeypatch):
    """The address of the default row, which answers."""
    with serving(serve_folder(world / "zoo")) as url:
        monkeypatch.setitem(ZOO, ROW.name, replace(ROW, address=f"{url}/demo.pyth", config="demo"))
        yield f"{url}/demo.pyth"


def test_a_video_and_nothing_else_gives_rows_and_later_without_a_network(run_cli, here, served, cache, monkeypatch):
    code, out, err = run_cli("annotate", "video.mp4")
    assert code == 0
    assert err == (
        f"weights {ROW.name}, the default for CPUs: 24.67 frame-mAP on AVA 2.2 (quoted from pytorchvideo model_zoo.md, "
        f"not measured here), about 136 MB, code Apache-2.0, weights none stated, from {served}, downloaded once into "
        f"{cache}\n"
    )
    rows = read_ava_csv(here / DEFAULT_OUT / "video.csv")
    assert len(rows) > 20
    assert f"Results: {DEFAULT_OUT}" in out
    settings = json.loads((here / DEFAULT_OUT / "summary.json").read_text())
    assert settings["weights"]["source"] == str(cache / f"{ROW.name}.pyth")

    monkeypatch.setitem(ZOO, ROW.name, replace(ROW, address=UNREACHABLE, config="demo"))
    code, _, err = run_cli("annotate", "video.mp4", "--out", "again")
    assert code == 0
    assert err.endswith(f", in the cache: {cache / (ROW.name + '.pyth')}\n")
    assert (here / "again" / "video.csv").read_bytes() == (here / DEFAULT_OUT / "video.csv").read_bytes()
    # And the same call again keeps what is done.
    before = (here / DEFAULT_OUT / "video.csv").stat().st_mtime_ns
    assert run_cli("annotate", "video.mp4", "--quiet") == (0, "", "")
    assert (here / DEFAULT_OUT / "video.csv").stat().st_mtime_ns == before


def test_without_a_network_one_sentence_says_what_to_fetch_where(run_cli, here, cache):
    code, out, err = run_cli("annotate", "video.mp4", "--quiet")
    path = cache / f"{ROW.name}.pyth"
    assert (code, out) == (2, "")
    assert err == f"ava-detect: {ROW.name} is not in the cache, and {UNREACHABLE} " + NO_DOWNLOAD.format(path=path)
    assert sorted(file.name for file in here.iterdir()) == ["boxes.csv", "video.mp4"]
    # As told: put there by hand, it is used.
    path.parent.mkdir(exist_ok=True)
    convert(zoo.SHIPPED["demo"], path, to="pyslowfast")
    assert run_cli("annotate", "video.mp4", "--quiet")[0] == 0
    # Or the demo weights, which need no network.
    assert run_cli("annotate", "video.mp4", "--quiet", "--weights", "demo", "--out", "demo")[0] == 0


def test_what_is_wrong_about_the_call_is_said_before_a_download(run_cli, here, cache):
    (here / DEFAULT_OUT).mkdir()
    (here / DEFAULT_OUT / "video.csv").write_text("mine")
    for arguments, message in (
        (("gone.mp4",), "there is no such file"),
        (("video.mp4",), f"--out {DEFAULT_OUT}/video.csv exists and is not from an earlier run of this"),
        (("video.mp4", "--every", "0"), "--every: expected a number"),
        (("video.mp4", "--set", "clip.side=3"), "the override 'clip.side=3': unknown key 'clip.side'"),
        (("video.mp4", "--format", "xml"), "unknown result format xml"),
    ):
        code, out, err = run_cli("annotate", *arguments, "--quiet")
        assert (code, out) == (2, "")
        assert message in err
        assert UNREACHABLE not in err
    assert not cache.exists()


def test_in_python_a_warning_says_what_was_chosen(here, served):
    with pytest.warns(ChoiceWarning, match=f"weights {ROW.name}, the default for CPUs: "):
        summary = annotate_videos("video.mp4")
    assert summary.all_well and summary.totals.boxes > 0
    assert (here / DEFAULT_OUT / "video.jsonl").is_file()
    with pytest.warns(ChoiceWarning), pytest.raises(ConfigError, match=r"other settings .*'short_side': 128"):
        annotate_videos("video.mp4", overrides=["clip.short_side=112"])


def test_what_an_earlier_run_drew_is_no_source(run_cli, here):
    given = ("--weights", "demo", *ONE_PERSON, "--draw")
    assert run_cli("annotate", "video.mp4", *given)[0] == 0
    drawn = f"{DEFAULT_OUT}/video.annotated.mp4"
    assert (here / drawn).is_file()
    # Of a folder, of a pattern, in another run's folder, and as a shell writes out ``*.mp4 */*.mp4``.
    for sources, out in (["."], "other"), (["**/*.mp4"], "third"), (["video.mp4", drawn], DEFAULT_OUT):
        code, _, err = run_cli("annotate", *sources, *given, "--out", out)
        assert code == 0
        assert json.loads((here / out / "summary.json").read_text())["totals"]["videos"] == 1
        assert "passed over 1 file drawn by an earlier run" in err or "passed over 2 files drawn by an earlier" in err
    code, _, err = run_cli("annotate", drawn, *given)
    assert code == 2
    assert f"{drawn} was drawn by an earlier run into the same --out; name the video that it shows" in err


def test_a_config_without_weights_gets_the_default_ones_only_if_they_fit(here, monkeypatch):
    assert choose_network(config="demo").weights == ROW.name  # whose row is the demo's config here
    monkeypatch.setitem(ZOO, ROW.name, ROW)
    assert choose_network(config="slowfast_r50_32x2_c2").weights == ROW.name
    # What may be changed for a test does not matter.
    found = choose_network(config="slowfast_r50_32x2_c2", overrides=["clip.short_side=224"])
    assert (found.weights, found.config.clip.short_side) == (ROW.name, 224)
    for config, message in (
        ("demo", r", `weights=demo` \(which fits it\), or `weights=random` to try"),
        (
            "slowfast_r101_nl_32x2",
            r"`weights=slowfast_r101_nl_32x2_ava21`, `weights=slowfast_r101_nl_32x2_ava22` \(which fit it\)",
        ),
        ("slowfast_r50_32x2", f"the default {ROW.name} do not fit this config, nor do any others of the zoo"),
    ):
        with pytest.raises(ConfigError, match=f"there are no weights: give `weights=FILE` .*{message}"):
            choose_network(config=config)


def test_a_gpu_has_a_default_row_of_its_own(monkeypatch):
    monkeypatch.setattr("ava_detect.config.choice.resolve_device", lambda device: {"auto": "cuda"}.get(device, device))
    assert choose_network().weights == "slowfast_r101_nl_32x2_ava22"
    assert ", the default for GPUs: 29.1 frame-mAP on AVA 2.2" in choose_network().note
    assert choose_network(device="cpu").weights == ROW.name


def test_overrides_are_settings_that_resume_notices(run_cli, here):
    given = ("annotate", "video.mp4", "--weights", "demo", *ONE_PERSON)
    assert run_cli(*given, "--set", "clip.short_side=112", "--set", "detector.min_score=0.4")[0] == 0
    assert run_cli(*given, "--set", "detector.min_score=0.4", "--set", "clip.short_side=112")[0] == 0
    settings = json.loads((here / DEFAULT_OUT / "summary.json").read_text())["settings"]
    assert settings["config"]["clip"]["short_side"] == 112
    code, _, err = run_cli(*given)
    assert code == 2 and "holds results that were made with other settings (config was" in err
    assert "choose another --out, or --restart to do every video again" in err


def test_a_checkpoint_of_another_package_needs_no_config(run_cli, here, world):
    theirs = world / "zoo" / "demo.pyth"
    code, _, err = run_cli("annotate", "video.mp4", "--weights", theirs, *ONE_PERSON)
    assert code == 0
    assert err.startswith(f"config demo: {theirs} has the tensors of its network (PySlowFast layout), as of no other")
    with pytest.raises(WeightsError, match="there is no such weights file"):
        annotate_videos("video.mp4", "new", weights=str(theirs.with_suffix(".pt")))


FRESH = """
import sys
from dataclasses import replace
from ava_detect.models.zoo_table import ZOO
from ava_detect.cli.app import main
name, address, *arguments = sys.argv[1:]
ZOO[name] = replace(ZOO[name], address=address)
main(arguments)
"""


@pytest.mark.slow
def test_a_fresh_process_with_a_network_of_the_published_size(here, tmp_path, monkeypatch):
    """The row as it ships, except for its address and the numbers in the file: those are random."""
    (tmp_path / "zoo").mkdir()
    save_pyslowfast(build_model(ROW.config), tmp_path / "zoo" / "R50.pyth")
    size = (tmp_path / "zoo" / "R50.pyth").stat().st_size
    assert size == pytest.approx(1e6 * ROW.about_megabytes, rel=0.02)
    with serving(serve_folder(tmp_path / "zoo")) as url:
        call = [sys.executable, "-c", FRESH, ROW.name, f"{url}/R50.pyth", "annotate", "video.mp4", "--every", "2"]
        ended = subprocess.run(call, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert f"from {url}/R50.pyth, downloaded once into" in ended.stderr
    table = read_ava_csv(here / DEFAULT_OUT / "video.csv")
    assert len(table) >= 80 and len(table) % 80 == 0
