"""Plug-ins: the example package of the documentation, and what is said of packages that do not fit."""

from __future__ import annotations

import os
import subprocess

import numpy as np
import pytest
from networks import lively_model
from people import detections
from plug_in import install_example, write_package
from processes import WITHOUT_TORCH, ava_detect, run_python
from videos import constant_rate, write_numbered_video
from weights_files import same_state

from ava_detect.cli import completion
from ava_detect.cli.doctor import _plug_ins
from ava_detect.detectors.specs import build_detector, check_spec, file_of, spec_beginnings
from ava_detect.errors import AvaDetectError, AvaDetectWarning, DetectorError, MissingDependencyError
from ava_detect.formats.writers import check_formats, results_writer
from ava_detect.interface import plug_ins as module
from ava_detect.models.weights import FAMILIES, convert, inspect_file, load_weights, save_weights
from ava_detect.models.weights.key_map import recognise
from ava_detect.models.zoo import SHIPPED
from ava_detect.results.results_file import open_results
from ava_detect.structures import Frame
from ava_detect.structures.labels import LabelMap

BLACK = np.zeros((40, 80, 3), np.uint8)


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    return install_example(tmp_path_factory.mktemp("example"))


@pytest.fixture
def use(monkeypatch):
    """Puts a folder of installed packages on this process's path for one test."""

    def use(folder):
        monkeypatch.syspath_prepend(str(folder))
        module.plug_ins.cache_clear()

    yield use
    monkeypatch.undo()
    module.plug_ins.cache_clear()


def test_a_detector_by_its_spec(example, use):
    use(example)
    check_spec("whole-frame?margin=0.25")
    detector = build_detector("whole-frame?margin=0.25", min_score=0.5)
    assert detector.name == "whole frame, margin 0.25"
    (people,) = detector([Frame(BLACK, 0.0, "a")])
    assert people.boxes_xyxy.tolist() == [[20, 10, 60, 30]]
    assert "whole-frame" in spec_beginnings()
    with pytest.raises(DetectorError, match=r"no option 'marge' \(did you mean 'margin'\?\); the options are: min_sc"):
        build_detector("whole-frame?marge=1")
    with pytest.raises(DetectorError, match=r"margin='0.5' cannot be read \(a margin is a fraction"):
        build_detector("whole-frame?margin=0.5")
    with pytest.raises(DetectorError, match=r"whole-frame takes no 'a.onnx'; write whole-frame"):
        check_spec("whole-frame:a.onnx")
    with pytest.raises(DetectorError, match=r"'whole-fram' \(did you mean 'whole-frame'\?\).*boxes:FILE, whole-frame"):
        check_spec("whole-fram")


def test_a_detector_that_reads_a_file(tmp_path, use):
    code = (
        "class Lines:\n"
        "    spec_target, spec_takes, needs_images = 'FILE', ('device',), False\n"
        "    def __init__(self, path, *, device):\n"
        "        self.name = f'{path} on {device}'\n"
        "    def __call__(self, frames):\n"
        "        return []\n"
    )
    use(write_package(tmp_path / "packages", "lines_plug_in", {"detectors": "lines = lines_plug_in:Lines"}, code))
    with pytest.raises(DetectorError, match="names no file; write lines:FILE"):
        check_spec("lines")
    with pytest.raises(DetectorError, match=r"there is no file none\.txt"):
        check_spec("lines:none.txt")
    path = tmp_path / "there.txt"
    path.touch()
    check_spec(f"lines:{path}")
    assert file_of(f"lines:{path}") == path
    assert build_detector(f"lines:{path}", device="cuda", num_threads=3).name == f"{path} on cuda"


def test_a_family_of_checkpoints_both_ways(example, use, tmp_path):
    use(example)
    model, other = lively_model(1), lively_model(2)
    save_weights(model, tmp_path / "ours.safetensors")
    report = convert(tmp_path / "ours.safetensors", tmp_path / "theirs.ckpt", to="lightning")
    assert report.target_family == "Lightning" and report.converted == len(model.state_dict())
    assert inspect_file(tmp_path / "theirs.ckpt").family == "lightning"
    assert load_weights(other, tmp_path / "theirs.ckpt").family == "Lightning"
    assert same_state(model, other)
    names = [f"network.{name}" for name in model.state_dict()]
    assert all(FAMILIES["lightning"].to_ours(name) == name.removeprefix("network.") for name in names)
    assert recognise(["head.projection.weight"]) != "lightning"  # the first that knows all is ours
    assert completion.weights_families("light") == ["lightning"]


def test_a_format_of_results(example, use, tmp_path):
    use(example)
    check_formats(("vtt", "csv"))
    first = detections([[0, 0, 1, 1]] * 2, [{12: 0.5, 80: 0.9}, {1: 0.3}], seconds=1, track_ids=[7, 8])
    with results_writer(tmp_path, "a.b", ("vtt",), LabelMap.ava(), start_seconds=900, note="untrained") as write:
        write(first, first.action_scores >= 0.5)
        write(detections([], [], seconds=2.5))
        write(detections([[0, 0, 1, 1]], [{12: 1.0}], seconds=3661.0625), np.arange(80)[None] == 11)
        assert not (tmp_path / "a.b.vtt").exists()
    assert (tmp_path / "a.b.vtt").read_text() == (
        "WEBVTT - untrained\n\n"
        "00:00:01.000 --> 00:00:02.500\nperson 7: watch (a person), stand\n\n"
        "01:01:01.062 --> 01:01:02.062\nperson 0: stand\n"
    )
    with pytest.raises(RuntimeError), results_writer(tmp_path, "c", ("vtt", "csv"), LabelMap.ava()) as write:
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["a.b.vtt"]
    assert completion.result_formats("csv,v") == ["csv,vtt"]


@pytest.mark.slow
def test_a_command_uses_all_three_in_its_worker_process(example, use, tmp_path):
    write_numbered_video(tmp_path / "video.mp4", constant_rate(10, 10), width=48, height=48)
    use(example)
    convert(SHIPPED["demo"], tmp_path / "demo.ckpt", to="lightning")
    environment = {**os.environ, "PYTHONPATH": f"{example}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    options = ("--weights", "demo.ckpt", "--config", "demo", "--stall-limit", 100, "--min-score", 0)
    command = ava_detect(
        "annotate", "video.mp4", "--detector", "whole-frame?margin=0.1", "--format", "vtt,jsonl", *options
    )
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ava_results/video.vtt").read_text().startswith("WEBVTT\n\n00:00:00.000 -->")
    people = open_results(tmp_path / "ava_results/video.jsonl").people("video", LabelMap.ava())
    np.testing.assert_allclose(people.boxes_fraction, [[0.1, 0.1, 0.9, 0.9]], atol=1e-6)


def test_doctor_lists_them(example, use):
    use(example)
    told = {finding.name: finding.detail for finding in _plug_ins() if finding.state == "ok"}
    names = ("detector whole-frame", "weights family lightning", "format vtt")
    assert told == {f"plug-in: {name}": "from ava-detect-example 1.0" for name in names}


BROKEN = {
    "no_such_module": ("x = nowhere_to_be_found:X", "", "cannot be imported (ModuleNotFoundError: No module named"),
    "raises": ("x = raises:X", "raise RuntimeError('out of order')", "cannot be imported (RuntimeError: out of order)"),
    "no_attribute": ("x = no_attribute:X", "", "cannot be imported (AttributeError:"),
    "a_number": (
        "x = a_number:X",
        "X = 3",
        {"detectors": "is no class of", "weights": "is no `ava_detect"},
    ),
}


@pytest.mark.parametrize("package", BROKEN)
@pytest.mark.parametrize("group", ["detectors", "weights", "formats"])
def test_a_plug_in_that_cannot_be_used(package, group, tmp_path, use):
    lines, code, problem = BROKEN[package]
    problem = problem if isinstance(problem, str) else problem.get(group, "is no function that opens")
    use(write_package(tmp_path, f"{package}", {group: lines}, code))
    asked = {"detectors": check_spec, "weights": FAMILIES.__getitem__, "formats": lambda name: check_formats([name])}
    with pytest.raises(AvaDetectError) as caught:
        asked[group]("x")
    assert f"the plug-in 'x' (ava_detect.{group}) of {package} 0.5 {problem}" in str(caught.value)
    assert f"uninstall {package}" in str(caught.value)
    # What does not need it works, and says so.
    with pytest.warns(AvaDetectWarning, match="the plug-in 'x'"):
        {"detectors": lambda: _spec("nothing"), "weights": lambda: recognise(["a.b"])}.get(group, _all_formats)()
    (finding,) = (one for one in _plug_ins() if one.name.endswith(" x"))
    assert finding.state == "broken" and not finding.required and problem in finding.detail


def _spec(spec):
    with pytest.raises(DetectorError, match="there is no kind 'nothing'; give one of builtin, onnx:FILE"):
        check_spec(spec)


def _all_formats():
    from ava_detect.formats.writers import RESULT_FORMATS

    assert list(RESULT_FORMATS.usable()) == ["csv", "jsonl", "parquet"]


@pytest.mark.parametrize(
    ("group", "name", "code", "problem"),
    [
        ("detectors", "Loud", "class X: pass", "has a name that is no kind: lower-case letters"),
        ("detectors", "odd", "class X: spec_takes = ['gpu']", r"`spec_takes` with \['gpu'\]; there are only \['devic"),
        ("detectors", "odd", "class X: spec_options = ['a']", "`spec_options` that are no mapping"),
        ("formats", "my.csv", "def X(): pass", "has a name that is no suffix"),
    ],
)
def test_a_plug_in_that_does_not_keep_the_rules(group, name, code, problem, tmp_path, use):
    package = f"rules_{abs(hash((name, code)))}"
    use(write_package(tmp_path, package, {group: f"{name} = {package}:X"}, code))
    with pytest.raises(AvaDetectError, match=problem):
        check_spec(name) if group == "detectors" else check_formats([name])


def test_a_plug_in_that_fails_at_work(tmp_path, use):
    code = (
        "from contextlib import contextmanager\n"
        "from ava_detect import MissingDependencyError\n"
        "class Fails:\n    def __init__(self): raise KeyError('weights')\n"
        "class Nothing: pass\n"
        "class Needs:\n    def __init__(self): raise MissingDependencyError('needs it; pip install it')\n"
        "@contextmanager\ndef silent(path, label_map, *, start_seconds, note): yield lambda keyframe, kept=None: None\n"
    )
    detectors = "fails = at_work:Fails\nnothing = at_work:Nothing\nneeds = at_work:Needs"
    use(
        write_package(
            tmp_path / "packages", "at_work", {"detectors": detectors, "formats": "txt = at_work:silent"}, code
        )
    )
    with pytest.raises(AvaDetectError, match=r"of at_work 0.5 cannot be built \(KeyError: 'weights'\); update it"):
        build_detector("fails")
    with pytest.raises(AvaDetectError, match="builds no detector: it needs `name`"):
        build_detector("nothing")
    with pytest.raises(MissingDependencyError, match="pip install it"):
        build_detector("needs")
    with (
        pytest.raises(AvaDetectError, match=r"wrote no file for .*v\.txt"),
        results_writer(tmp_path, "v", ("csv", "txt"), LabelMap.ava()),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["packages"]


def test_ours_is_never_replaced_and_of_two_the_first_is_used(tmp_path, use):
    classes = "class {}:\n    name, needs_images = '{}', False\n    def __call__(self, frames): return []\n"
    use(write_package(tmp_path, "b_pack", {"detectors": "same = b_pack:B"}, classes.format("B", "of b")))
    lines = "same = a_pack:A\nbuiltin = a_pack:A"
    use(write_package(tmp_path, "a_pack", {"detectors": lines}, classes.format("A", "of a")))
    with pytest.warns(AvaDetectWarning, match=r"of b_pack 0.5 has the name of a plug-in of a_pack 0.5, which is used"):
        check_spec("same")
    assert build_detector("same").name == "of a"
    assert build_detector("builtin", num_threads=1).name != "of a"


def test_plug_ins_are_imported_when_they_are_used(tmp_path, use):
    code = "import pathlib\npathlib.Path(__file__).with_suffix('.seen').touch()\ndef X(): pass"
    lines = {group: f"quiet{group[0]} = quiet_pack:X" for group in ("detectors", "weights", "formats")}
    use(write_package(tmp_path, "quiet_pack", lines, code))
    check_spec("builtin")
    check_formats(("csv",))
    assert recognise(list(lively_model().state_dict())) == "ava_detect"
    assert {"quietd", "quietw"} <= {*spec_beginnings(), *FAMILIES}
    assert not (tmp_path / "quiet_pack.seen").exists()


def test_formats_and_detectors_of_plug_ins_need_no_torch(example):
    code = (
        f"{WITHOUT_TORCH}sys.path.insert(0, sys.argv[1])\n"
        "from ava_detect.formats.writers import check_formats\n"
        "from ava_detect.detectors.specs import check_spec\n"
        "check_formats(['vtt'])\ncheck_spec('whole-frame')\n"
    )
    run_python(code, example)
