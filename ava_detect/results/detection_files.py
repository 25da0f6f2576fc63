"""The files of detections that a run left in its folder, with what must be known of them to learn from their scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ava_detect.errors import FormatError, shown
from ava_detect.formats.json_values import MALFORMED, check_type, parse_json, reason_of
from ava_detect.results.manifest import ManifestContent, read_manifest
from ava_detect.storage.file_names import MANIFEST

_BENCHMARK_RESULT, _BENCHMARK_DETECTIONS = "result.json", "detections.csv"
_SUFFIXES = (".csv", ".parquet")
# Settings that leave scores out, and their values that leave out none.
_FILTERS = {"min_score": (0, None), "thresholds": (None,), "top": (None,)}


@dataclass(frozen=True)
class DetectionFiles:
    """Files of detections, and how they were made.

    Attributes:
        files: The files: csv, or Parquet where a run has no csv; at least one.
        start_seconds: Where in its movie each video file starts, for Parquet files.
        ground_truth: What a benchmark scored them against; None where it is not recorded.
        exclude: The keyframes that the benchmark left out; None for none.
        weights_sha256: Hash of the weights that gave the scores; None where it is unknown.
        filtered_by: The settings that left scores out, such as ``min_score``.
        is_calibrated: Whether the scores are calibrated already.
    """

    files: tuple[Path, ...]
    start_seconds: float = 0.0
    ground_truth: Path | None = None
    exclude: Path | None = None
    weights_sha256: str | None = None
    filtered_by: tuple[str, ...] = ()
    is_calibrated: bool = False


def detection_files(path: str | Path) -> DetectionFiles:
    """Find the detections of a run.

    Args:
        path: A file of detections, or the folder of ``annotate`` or ``benchmark``.

    Returns:
        The files.

    Raises:
        FormatError: The folder holds no such run, or no detections.
    """
    path = Path(path)
    if not path.is_dir():
        try:
            return _described((path,), read_manifest(path.parent))
        except FormatError:  # The file is good enough without it.
            return DetectionFiles((path,))
    manifest = read_manifest(path)
    if manifest is None:
        raise FormatError(
            f"{shown(path)} holds no {MANIFEST} of a run; give the folder of `ava-detect annotate` or `benchmark`, or "
            "a file of detections (`ava-detect collect` makes one of a dataset)"
        )
    if (path / _BENCHMARK_DETECTIONS).is_file():
        inputs = _benchmark_inputs(path / _BENCHMARK_RESULT)
        return _described((path / _BENCHMARK_DETECTIONS,), manifest, inputs)
    files = []
    for record in manifest.records.values():
        named = {Path(name).suffix: path / name for name in reversed(record.outputs)}
        found = [named[suffix] for suffix in _SUFFIXES if suffix in named]
        if not found:
            raise FormatError(
                f"{shown(path)} has neither a csv nor a Parquet file of {shown(record.video_id)}; annotate again with "
                "`formats=csv`"
            )
        files.append(found[0])
    if not files:
        raise FormatError(f"{shown(path)} holds no results; its run has finished no video")
    return _described(tuple(files), manifest)


def _described(
    files: tuple[Path, ...], manifest: ManifestContent | None, inputs: Mapping[str, str] | None = None
) -> DetectionFiles:
    settings: Mapping[str, Any] = {} if manifest is None else manifest.settings
    weights, inputs = settings.get("weights"), inputs or {}
    is_hash = isinstance(weights, str) and len(weights) == 64
    return DetectionFiles(
        files,
        float(settings.get("start_seconds", 0.0)) if any(file.suffix == ".parquet" for file in files) else 0.0,
        Path(inputs["ground_truth"]) if "ground_truth" in inputs else None,
        Path(inputs["exclude"]) if "exclude" in inputs else None,
        weights if is_hash else None,
        tuple(name for name, none in _FILTERS.items() if settings.get(name) not in none),
        settings.get("calibration") is not None,
    )


def _benchmark_inputs(path: Path) -> dict[str, str]:
    """Return the paths that a benchmark's ``result.json`` names; none where it is of an earlier version."""
    try:
        content = parse_json(path.read_bytes())
        check_type("the result", content, dict)
        inputs = content.get("inputs", {})
        check_type("inputs", inputs, dict)
        for name, value in inputs.items():
            check_type(name, value, str)
    except OSError as error:
        raise FormatError(
            f"{shown(path)} cannot be read ({shown(error.strerror or error)}); the benchmark was interrupted, so run "
            "it again"
        ) from error
    except MALFORMED as error:
        raise FormatError(f"{shown(path)} cannot be read ({reason_of(error)}); run the benchmark again") from error
    return dict(inputs)
