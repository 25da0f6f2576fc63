"""The package's public face, its laziness, and what must work without torch."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from types import GenericAlias
from typing import get_args, get_type_hints

import pandas
import PIL.Image
import pytest
from processes import WITHOUT_TORCH, run_python

import ava_detect
from ava_detect import errors

# What others build on: a name is added when it works, and never taken away.
STABLE = {
    "ActionDetections",
    "ActionDetector",
    "Clip",
    "FrameMAP",
    "LabelMap",
    "PersonBoxes",
    "PersonDetector",
    "Pipeline",
    "PrecomputedBoxes",
    "SlowFast",
    "VideoReader",
    "WeightsReport",
    "annotate_videos",
    "build_detector",
    "build_model",
    "draw_detections",
    "evaluate_files",
    "load_config",
    "load_weights",
    "read_ava_csv",
    "run_benchmark",
    "sample_clip",
    "write_ava_csv",
}

# What annotations name of libraries that are imported only when a value is made.
LOADED_WHEN_NEEDED = {"pd": pandas, "Image": PIL.Image.Image, "Detections": object, "AbstractFileSystem": object}


def test_the_public_names():
    assert set(ava_detect.__all__) >= STABLE
    assert ava_detect.__all__ == sorted(ava_detect.__all__)
    assert set(ava_detect.__all__) <= set(dir(ava_detect))


@pytest.mark.parametrize("name", ava_detect.__all__)
def test_every_public_name_exists_and_is_documented(name):
    assert getattr(ava_detect, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = ava_detect.Nonsense


def test_importing_the_package_loads_no_library():
    code = "import sys, ava_detect; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = run_python(code).stdout.split()
    assert not {"torch", "numpy", "pandas", "pyarrow", "av", "pydantic", "rich"} & set(loaded)


TORCH_FREE_MODULES = [
    "structures",
    "structures.labels",
    "structures.boxes",
    "structures.linking",
    "config",
    "formats.ava_csv",
    "formats.jsonl",
    "formats.parquet",
    "formats.coco_json",
    "formats.writers",
    "evaluation.frame_map",
    "evaluation.compare",
    "evaluation.error_analysis",
    "evaluation.person_ap",
    "visualization.draw",
    "detectors.builtin",
    "detectors.precomputed",
    "datasets.synthetic.world",
    "cli",
]


def test_they_work_where_torch_is_absent():
    """As on a machine without torch: any attempt to import it fails."""
    run_python(WITHOUT_TORCH + "".join(f"import ava_detect.{module}\n" for module in TORCH_FREE_MODULES))


def test_the_names_for_type_checkers_are_the_names_at_run_time():
    """The imports under ``TYPE_CHECKING`` and the table of homes list the same."""
    source = Path(ava_detect.__file__).read_text(encoding="utf-8")
    for_checkers = [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ava_detect.")
        for alias in node.names
    ]
    at_run_time = [(f"ava_detect.{module}", name) for name, module in ava_detect._HOME_OF_NAME.items()]
    assert sorted(for_checkers) == sorted(at_run_time)


def test_what_public_names_take_and_give_is_public():
    """Walks the annotations of every public function, class, method, property and field."""
    waiting = [getattr(ava_detect, name) for name in ava_detect.__all__]
    seen, holes = set(waiting), {}
    while waiting:
        owner = waiting.pop()
        for user in annotated(owner):
            for hint in get_type_hints(user, localns=LOADED_WHEN_NEEDED).values():
                for used in own_classes(hint):
                    if used.__name__ not in ava_detect.__all__:
                        holes.setdefault(f"{used.__module__}.{used.__name__}", f"{owner.__name__}, {user.__name__}")
                    if used not in seen:
                        seen.add(used)
                        waiting.append(used)
    assert not holes


def test_every_error_that_a_docstring_names_is_public():
    named = set()
    for name in ava_detect.__all__:
        for user in annotated(getattr(ava_detect, name)):
            _, _, raises = (user.__doc__ or "").partition("Raises:\n")
            named |= set(re.findall(r"^\s+([A-Z][A-Za-z]+Error):", raises, re.MULTILINE))
    ours = {name for name in vars(errors) if name.endswith("Error")}
    assert named & ours
    assert ours <= set(ava_detect.__all__)


def annotated(owner):
    """A function itself; a class, with its public methods, properties and constructor."""
    yield owner
    for name, member in vars(owner).items() if isinstance(owner, type) else ():
        if name.startswith("_") and name not in ("__init__", "__call__", "__iter__", "__getitem__"):
            continue
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if inspect.isfunction(function):
            yield function


def own_classes(hint):
    """The classes of this package in an annotation, however deep."""
    if inspect.isclass(hint) and not isinstance(hint, GenericAlias) and hint.__module__.startswith("ava_detect"):
        yield hint
    for part in get_args(hint):
        for inner in part if isinstance(part, list | tuple) else (part,):
            yield from own_classes(inner)
