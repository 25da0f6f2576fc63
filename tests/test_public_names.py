"""The package's public face, its laziness, and what must work without torch."""

from __future__ import annotations

import pytest
from processes import WITHOUT_TORCH, run_python

import ava_detect

# What others build on (a name is added when it works, and never taken away).
PUBLIC = [
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
]


def test_the_public_names():
    assert ava_detect.__all__ == sorted(PUBLIC)
    assert set(PUBLIC) <= set(dir(ava_detect))


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_exists_and_is_documented(name):
    assert getattr(ava_detect, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = ava_detect.Nonsense


def test_importing_the_package_loads_no_library():
    code = "import sys, ava_detect; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = run_python(code).stdout.split()
    assert not {"torch", "numpy", "pandas", "pyarrow", "av", "pydantic", "rich"} & set(loaded)


@pytest.mark.parametrize(
    "module",
    [
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
    ],
)
def test_works_where_torch_is_absent(module):
    """As on a machine without torch: any attempt to import it fails."""
    run_python(WITHOUT_TORCH + f"import ava_detect.{module}")
