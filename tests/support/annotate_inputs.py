"""What an annotation needs: videos, their people's boxes, and a network that runs in milliseconds."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from networks import small_config_file
from videos import constant_rate, write_numbered_video

from ava_detect.annotation.annotate import annotate_videos
from ava_detect.formats.ava_csv import AvaTable, write_ava_table

BOX = (0.1, 0.2, 0.6, 0.9)


def write_boxes(
    path: Path, rows: Iterable[tuple[str, float, Sequence[float]]], scores: float | Sequence[float] | None = 0.9
) -> Path:
    """A box file: a row for each ``(video id, second, box as fractions)``, with these scores or one for all."""
    ids, times, boxes = zip(*rows, strict=True)
    if isinstance(scores, float):
        scores = [scores] * len(ids)
    write_ava_table(path, AvaTable.from_columns(ids, times, boxes, scores=scores))
    return path


def write_inputs(folder: Path, seconds: Mapping[str, float], *, empty_seconds: Container[int] = ()) -> Path:
    """``videos/NAME.mp4`` of each length, ``boxes.csv`` with a person on each second, and ``small.yaml``.

    No person is on the ``empty_seconds``.
    """
    rows = []
    for name, length in seconds.items():
        path = folder / "videos" / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_numbered_video(path, constant_rate(int(30 * length), 30))
        rows += [(name, second, BOX) for second in range(math.ceil(length)) if second not in empty_seconds]
    write_boxes(folder / "boxes.csv", rows)
    small_config_file(folder)
    return folder


def settings(folder: Path) -> dict[str, Any]:
    """Settings for ``annotate_videos`` over the inputs in ``folder``."""
    return {"config": str(folder / "small.yaml"), "weights": "random", "boxes": folder / "boxes.csv"}


def options(folder: Path) -> list[str]:
    """The same settings for the command."""
    return ["--config", str(folder / "small.yaml"), "--weights", "random", "--boxes", str(folder / "boxes.csv")]


def objects_of_run(folder: Path, out: Path, **more: Any) -> dict[str, bytes]:
    """Every file but the notes of how it went, of a dataset of ``write_inputs`` with the weights ``lively.pth``."""
    weights = str(folder / "lively.pth")
    summary = annotate_videos(folder / "videos", f"file://{out}", **{**settings(folder), "weights": weights, **more})
    assert summary.all_well
    files = [path for path in out.rglob("*") if path.is_file() and "progress" not in path.parts]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}
