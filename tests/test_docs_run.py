"""Every shell and Python block of the documentation runs as it stands there, on small inputs.

A page's blocks run one after another in a folder of their own, which has a copy of every file that the pages name.
"""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml
from networks import torch_threads
from page_inputs import (
    ZOO_FILES,
    made_small,
    write_accepted,
    write_page_inputs,
    write_small_builtin,
    write_small_configs,
    write_tube_results,
)
from plug_in import lay_out_example

from ava_detect import ActionDetections, read_results
from ava_detect.config import loading
from ava_detect.detectors import builtin
from ava_detect.formats.annotation_files import read_ground_truth, read_person_boxes
from ava_detect.interface.plug_ins import plug_ins
from ava_detect.models import zoo_choice
from ava_detect.models.zoo_table import ZOO
from ava_detect.storage.cache import CACHE_VARIABLE
from ava_detect.visualization import notebook

DOCS = Path(__file__).resolve().parents[1] / "docs"
MODEL_FILE = builtin.MODEL_FILE
PAGES = [*sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("tasks/*.md"))]
FENCE = re.compile(r"^( *)```(sh|python|yaml)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)

# What stands for the reader's own.
SUBSTITUTIONS = {
    "RESULTS": "results",
    "WEIGHTS": "demo",
    "FILE_OR_NAME": "slowfast_r50_32x2_ava22_ptv",
    "OUT.onnx": "out.onnx",
    "--videos DIR --ground-truth CSV": "--videos videos --ground-truth ground_truth.csv",
    "--device cuda": "--device cpu",
    'device="cuda"': 'device="cpu"',
    "ultralytics:yolo11n": "builtin",
    "s3://bucket/": "",
    # Shorter movies and fewer of them.
    "--at 12 ": "--at 1 ",
    "at(12.0)": "at(1.0)",
    "--videos 40 ": "--videos 1 --seconds 0.2 ",
    "--videos 4 ": "--videos 1 --seconds 1 ",
    " --seconds 30": "",
    "seconds=30": "seconds=0.2",
    "num_movies=40": "num_movies=1",
    # Nobody sits before the page.
    "num_classes: 21": "num_classes: 3",
    # The movies of the test are cut as AVA's.
    "--weights SLOWFAST_32x2_R50.pkl": "--weights SLOWFAST_32x2_R50.pkl --start-seconds 900",
    "num_processes=2": "num_processes=1",
    "--folds 5": "--folds 2",
    "ava-detect calibrate ": "ava-detect calibrate --min-positives 1 ",
    "--corrections corrections": "--corrections corrections --set train.epochs=1",
    "train.batch_size=16": "train.batch_size=4",
    "python -W error::ava_detect.DeprecatedWarning -m ava_detect": "ava-detect",
    "--budget 100": "--budget 100 --prepare",
    # Files in the place of cameras.
    "ava-detect live ": "ava-detect live --speed 10 ",
    "rtsp://camera.local/stream": "video.mp4",
    "rtsp://10.0.0.7/s": "movie.mp4",
    "--page": "--page --port 0",
}
# What is not run: (page, first words) -> why. The options of its commands are those of the program (``test_docs``).
INSTALLS = "installs packages"
BUCKETS = "needs buckets of an object store: tests/annotation/test_buckets.py"
PROCESSES = "starts processes on GPUs: tests/training/test_train_processes.py"
TOOL = "measures for minutes"
NOT_RUN = {
    ("containers.md", "make image"): "builds an image",
    ("containers.md", "docker run"): "needs Docker",
    ("export.md", "ava-detect export OUT.pt2"): "traces a network for many seconds: tests/models/test_model_export.py",
    ("performance.md", "python tools/"): TOOL,
    ("plugins.md", "pip install"): INSTALLS,
    ("scale.md", "ava-detect annotate s3://"): BUCKETS,
    ("scale.md", "ava-detect annotate movies.parquet"): BUCKETS,
    ("scale.md", "ava-detect status"): BUCKETS,
    ("scale.md", "ava-detect collect"): BUCKETS,
    ("scale.md", "ava-detect annotate videos"): "starts a dozen processes: tests/annotation/test_model_server.py",
    ("scale.md", "export "): PROCESSES,
    ("scale.md", "torchrun "): PROCESSES,
    ("start.md", "pip install"): INSTALLS,
    ("start.md", "pipx install"): INSTALLS,
    ("start.md", "uvx --from"): INSTALLS,
    ("start.md", "ava-detect demo"): "renders a whole movie: tests/cli/test_demo.py",
    ("tasks/bucket-on-ray.md", "pip install"): INSTALLS,
    ("tasks/bucket-on-ray.md", "ava-detect"): BUCKETS,
    ("tasks/yolo-detector.md", "pip install"): INSTALLS,
    ("tasks/yolo-detector.md", "ava-detect annotate video.mp4 --detector ultralytics"): "needs Ultralytics",
    ("tasks/yolo-detector.md", 'ava-detect annotate video.mp4 --detector "ultralytics'): "needs Ultralytics",
    ("training.md", "pip install"): INSTALLS,
    ("training.md", "export "): PROCESSES,
    ("training.md", "torchrun "): PROCESSES,
    ("training.md", "accelerate "): PROCESSES,
}


@dataclass(frozen=True)
class Step:
    """A command, or a program of Python, or a file ``# NAME.yaml`` that the page shows."""

    language: str
    text: str


@cache
def steps_of(page: Path) -> tuple[Step, ...]:
    """The steps of a page's blocks in their order, without lines that are comments alone."""
    steps = []
    for indent, language, text in FENCE.findall(page.read_text(encoding="utf-8")):
        lines = [line.removeprefix(indent) for line in text.splitlines(keepends=True)]
        if language == "sh":
            commands = "".join(lines).replace("\\\n", " ").splitlines()
            steps += [Step("sh", line) for line in commands if shlex.split(line, comments=True)]
        else:
            steps.append(Step(language, "".join(lines)))
    return tuple(steps)


def name_of(page: Path) -> str:
    return str(page.relative_to(DOCS))


def is_run(page: Path, step: Step) -> bool:
    is_listed = any(name == name_of(page) and step.text.startswith(words) for name, words in NOT_RUN)
    return step.language != "yaml" and not is_listed


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """The shared folder; while the tests run, the configs that ship have small networks."""
    folder = tmp_path_factory.mktemp("pages")
    configs = write_small_configs(folder / "small_configs")
    with pytest.MonkeyPatch.context() as patch, torch_threads(1):
        patch.setattr(loading, "resource_dir", lambda name: configs)
        patch.setenv(CACHE_VARIABLE, str(folder / "inputs/cache"))
        patch.setitem(zoo_choice._DEFAULTS, "cuda", zoo_choice._DEFAULTS["cpu"])
        for name in ZOO_FILES:
            patch.setitem(ZOO, name, replace(ZOO[name], sha256=""))
        write_page_inputs(folder / "inputs")
        patch.setattr(builtin, "MODEL_FILE", write_small_builtin(folder / "builtin.onnx"))
        patch.setattr(notebook, "show_image", lambda image: None)
        yield folder / "inputs"


def substituted(text: str) -> str:
    for words, replacement in SUBSTITUTIONS.items():
        text = text.replace(words, replacement)
    return text


def write_configs(page: Path) -> None:
    """Write the files ``# NAME.yaml`` that the page shows, with small networks, into the current folder."""
    for step in steps_of(page):
        if step.language == "yaml" and (named := re.match(r"# (\w+\.yaml)\b", step.text)):
            Path(named[1]).write_text(yaml.safe_dump(made_small(yaml.safe_load(substituted(step.text)))))


class PageRun:
    """Runs the steps of a page in its folder, which is the current one.

    What Python blocks define is kept from one to the next, as in a session.
    """

    def __init__(self, page: Path, run_cli) -> None:
        self.page = page
        self.run_cli = run_cli
        self.names = {"__name__": "__main__"} | names_given(name_of(page))
        self.written: set[str] = set()

    def run(self, step: Step) -> None:
        text = substituted(step.text)
        if step.language == "python":
            for name in re.findall(r'annotate_videos\("\w+", "(\w+)"', text):
                self._make_room(name)
            for name in re.findall(r'import_labels\("[\w.]+", "([\w.]+)"', text):
                self._make_room(name, is_whole=True)
            exec(compile(text, self.page.name, "exec"), self.names)
            return
        program, *words = shlex.split(text, comments=True)
        assert program == "ava-detect", f"neither a command of ours nor in NOT_RUN: {text}"
        words = [name for word in words for name in (sorted(map(str, Path().glob(word))) if "*" in word else [word])]
        self._make_room_for(words)
        with pytest.MonkeyPatch.context() as patch:
            if words[0] == "doctor":  # which asks the network what it sees
                patch.setattr(builtin, "MODEL_FILE", MODEL_FILE)
            code, output, error = self.run_cli(*words)
        assert code == 0, f"{text}\n{output}{error}"
        if words[0] == "review":
            write_accepted(Path())

    def _make_room_for(self, words: list[str]) -> None:
        outputs = [words[number + 1] for number, word in enumerate(words) if word == "--out"]
        if words[0] == "annotate" and not outputs:
            outputs.append("ava_results")
        if words[:2] == ["weights", "convert"]:
            outputs.append(words[3])
        for name in outputs:
            self._make_room(name, is_whole=words[0] == "import")

    def _make_room(self, name: str, *, is_whole: bool = False) -> None:
        """Remove what the folder has of a name that the page is about to write, unless the page wrote it before.

        A whole file is never continued, nor is the label map beside it.
        """
        path = Path(name)
        if is_whole:
            (path.parent / "label_map.pbtxt").unlink(missing_ok=True)
        if (is_whole or name not in self.written) and path.exists():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.written.add(name)


def keyframes_of(video_id: str) -> list[ActionDetections]:
    return list(read_results("results")[video_id])


def names_given(page: str) -> dict[str, object]:
    """What the Python blocks of a page take for granted."""
    if page == "calibration.md":
        return {"keyframe": keyframes_of("movie")[0]}
    if page == "detectors.md":
        return {"image": np.zeros((90, 160, 3), np.uint8)}
    if page == "evaluation.md":
        table = read_ground_truth("ground_truth.csv")
        return {
            "table": table,
            "keyframes": keyframes_of("movie"),
            "ground_truth": table,
            "proposals": read_person_boxes("detections.csv"),
        }
    if page == "results.md":
        import supervision

        nobody = supervision.Detections.empty()
        return {"first": nobody, "second": nobody}
    return {}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ava_detect.AvaDetectWarning")
@pytest.mark.parametrize("page", [page for page in PAGES if steps_of(page)], ids=name_of)
def test_every_block_of_a_page_runs(page, inputs, tmp_path, monkeypatch, run_cli, request):
    folder = tmp_path / "page"
    shutil.copytree(inputs, folder)
    monkeypatch.chdir(folder)
    if page.name == "video-map.md":
        write_tube_results(folder)
    if page.name == "plugins.md":
        monkeypatch.syspath_prepend(lay_out_example(tmp_path))
        plug_ins.cache_clear()
        request.addfinalizer(plug_ins.cache_clear)
    write_configs(page)
    run = PageRun(page, run_cli)
    for step in steps_of(page):
        if is_run(page, step):
            run.run(step)


def test_every_block_is_in_a_language_that_is_known():
    """A command in a block of ``bash`` would be run by no test."""
    languages = {name for page in PAGES for name in re.findall(r"^ *```(.+)$", page.read_text(), re.MULTILINE)}
    assert languages <= {"sh", "python", "yaml", "json", "text", "toml"}


def test_every_substitution_is_of_a_page():
    text = "\n".join(step.text for page in PAGES for step in steps_of(page))
    assert not [words for words in SUBSTITUTIONS if words not in text]


def test_every_block_that_is_not_run_is_on_its_page():
    stale = {
        (name, words)
        for name, words in NOT_RUN
        if not any(step.text.startswith(words) for step in steps_of(DOCS / name))
    }
    assert not stale


@pytest.mark.parametrize("page", [page for page in PAGES if steps_of(page)], ids=name_of)
def test_every_program_compiles(page):
    for step in steps_of(page):
        if step.language == "python":
            compile(step.text, page.name, "exec")
