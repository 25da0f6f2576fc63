"""Every command and program in the README runs as it stands there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from annotate_inputs import BOX, write_boxes
from networks import save_pyslowfast
from videos import constant_rate, write_numbered_video
from weights_files import write_family

from ava_detect.config.build import build_model
from ava_detect.datasets.synthetic.world import WorldSettings, write_world
from ava_detect.errors import AvaDetectWarning
from ava_detect.formats.ava_csv import AvaTable, write_ava_table
from ava_detect.models.network_options import resolve_device
from ava_detect.models.zoo_choice import default_for
from ava_detect.models.zoo_download import cached_path
from ava_detect.storage.cache import CACHE_VARIABLE

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("ava-detect")]


@pytest.fixture(scope="module")
def folder_of_readme(tmp_path_factory):
    """A folder with the files that the README names."""
    folder = tmp_path_factory.mktemp("readme")
    # Square: the short side is what networks scale to 256.
    write_numbered_video(folder / "video.mp4", constant_rate(10, 30), width=48, height=48)
    write_boxes(folder / "boxes.csv", [("video", 0, BOX)])
    boxes, actions = [[0.1, 0.1, 0.9, 0.9]], [12]
    truth = AvaTable.from_columns(["movie"], [902], boxes, actions, person_ids=[0])
    write_ava_table(folder / "ground_truth.csv", truth)
    (folder / "excluded.csv").write_text("movie,0903\n")
    for name, score in (("before", 0.3), ("detections", 0.8)):
        found = AvaTable.from_columns(["movie"], [902], boxes, actions, scores=[score])
        write_ava_table(folder / f"{name}.csv", found)
    write_ava_table(folder / "truth.csv", AvaTable.from_columns(["video"], [0], boxes, actions, person_ids=[0]))
    save_pyslowfast(build_model("slowfast_r50_32x2"), folder / "SLOWFAST_32x2_R50_SHORT.pyth")
    # The default checkpoint of this machine, as a download leaves it.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(folder / "cache"))
        entry = default_for(resolve_device("auto"))
        path = cached_path(entry)
    path.parent.mkdir(parents=True)
    write_family(build_model(entry.config), entry.layout, path)
    return folder


def test_there_are_commands():
    assert len(COMMANDS) >= 4


# All in this process, which loads PyTorch once: the words of a command are taken apart as a shell does.
@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_runs(folder_of_readme, command, monkeypatch, run_cli):
    monkeypatch.chdir(folder_of_readme)
    monkeypatch.setenv(CACHE_VARIABLE, str(folder_of_readme / "cache"))
    program, *arguments = shlex.split(command, comments=True)
    assert program == "ava-detect"
    code, _, error = run_cli(*arguments)
    assert code == 0, error


def test_a_command_runs_in_a_shell(folder_of_readme):
    """The installed program, which the tests above leave out."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = "ava-detect weights list"
    assert command in COMMANDS
    environment = {**os.environ, "PATH": path}
    subprocess.run(command, shell=True, cwd=folder_of_readme, env=environment, stdout=subprocess.DEVNULL, check=True)


@pytest.mark.slow
@pytest.mark.parametrize("program", blocks("python"))
def test_every_program_prints_what_stands_below_it(folder_of_readme, program, monkeypatch, capsys):
    """Scores may differ in their last digits from processor to processor."""
    write_world(folder_of_readme / "world_of_python", WorldSettings(seed=28, seconds=3))
    (folder_of_readme / "world_of_python/videos/movie_000.mp4").rename(folder_of_readme / "movie.mp4")
    monkeypatch.chdir(folder_of_readme)
    with pytest.warns(AvaDetectWarning, match="demo weights"):
        exec(compile(program, "README.md", "exec"), {"__name__": "__main__"})
    text = re.search(re.escape(f"{program}```") + r"\n\n```text\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert text is not None
    for line, shown in zip(capsys.readouterr().out.splitlines(), text[1].splitlines(), strict=True):
        *words, score = line.split()
        *shown_words, shown_score = shown.split()
        assert words == shown_words
        assert score == shown_score or float(score) == pytest.approx(float(shown_score), abs=0.01)


def test_the_first_screen_has_both_commands():
    first_screen = README.splitlines()[:25]
    for command in ("annotate video.mp4 ", "visualize ava_results", "evaluate --ground-truth"):
        assert any(line.startswith(f"ava-detect {command}") for line in first_screen)
    assert any("make demo" in line for line in first_screen)
    assert any("make test" in line for line in first_screen)
    assert any("pip install" in line for line in first_screen)
