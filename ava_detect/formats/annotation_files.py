"""Reading ground truth and person boxes in every supported format: one rule for all commands.

``data check``, training, ``evaluate``, ``benchmark``, ``visualize`` and ``pictures`` read these files by the functions
here, so that what one of them accepts the others accept, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ava_detect.errors import FormatError, shown
from ava_detect.formats.ava_csv_reader import iter_ava_csv, read_ava_csv
from ava_detect.formats.ava_table import AvaTable
from ava_detect.formats.coco_json import ChooseCategories, read_coco_ground_truth, read_coco_json
from ava_detect.formats.parquet_reader import is_parquet_file, iter_parquet
from ava_detect.formats.proposal_pickles import is_pickle_file, read_proposal_pickle
from ava_detect.structures.labels import NO_ACTION


def is_coco_file(path: str | Path) -> bool:
    """Return whether a file is read as COCO json: its name ends in ``.json``.

    Args:
        path: The file.

    Returns:
        Whether it is.
    """
    return Path(path).suffix.lower() == ".json"


def iter_ground_truth(
    path: str | Path, *, start_seconds: float = 0.0, actions_required: bool = False
) -> Iterator[AvaTable]:
    """Read ground truth in pieces, in the order of its rows; see ``read_ground_truth``.

    Args:
        path: The file.
        start_seconds: Added to the timestamps of a Parquet file.
        actions_required: Whether a file in which no box has an action is refused, after its last piece.

    Yields:
        Tables of its rows.

    Raises:
        FormatError: If the file cannot be read, or lacks required actions; names the file and the place in it.
    """
    has_boxes = has_actions = False
    for piece in _iter_rows(path, start_seconds):
        has_boxes |= not bool(piece.is_keyframe_only.all())
        has_actions |= bool((piece.action_ids != NO_ACTION).any())
        yield piece
    if actions_required and has_boxes and not has_actions:
        raise FormatError(
            f"{shown(path)}: no box of the ground truth has an action; is this a file of proposals? Actions are "
            "column 7 of a csv, and the categories other than 'person' of a COCO file"
        )


def _iter_rows(path: str | Path, start_seconds: float) -> Iterator[AvaTable]:
    if is_coco_file(path):
        return iter([read_coco_ground_truth(path)])
    if is_parquet_file(path):
        return iter_parquet(path, start_seconds=start_seconds)
    return iter_ava_csv(path, last_column="person_id")


def read_ground_truth(path: str | Path, *, start_seconds: float = 0.0, actions_required: bool = False) -> AvaTable:
    """Read ground truth.

    Args:
        path: An AVA csv, plain or gzipped; a Parquet file; or a COCO instances file, whose categories are the actions.
        start_seconds: Time in the movie, in seconds, at which each video file starts (900 for AVA's trimmed files). It
            is added to the timestamps of a Parquet file, which are relative to the video file; those of the others are
            relative to the movie.
        actions_required: Whether a file in which no box has an action is refused.

    Returns:
        All rows, in the order of the file.

    Raises:
        FormatError: If the file cannot be read, or lacks required actions; names the file and the place in it.
    """
    pieces = iter_ground_truth(path, start_seconds=start_seconds, actions_required=actions_required)
    return AvaTable.concatenate(list(pieces))


def read_person_boxes(
    path: str | Path, *, images_path: str | Path | None = None, choose: ChooseCategories | None = None
) -> AvaTable:
    """Read the boxes that a person detector found: proposals.

    Args:
        path: An AVA csv with scores in column 8, plain or gzipped, a COCO json file, or a pickle of mmaction2.
        images_path: The instances file that describes the images of a COCO list of results.
        choose: Chooses the categories of a COCO file; see ``read_coco_json``.

    Returns:
        All rows, in the order of the file.

    Raises:
        FormatError: If the file cannot be read; names the file and the place in it.
    """
    if is_pickle_file(path):
        return read_proposal_pickle(path)
    return read_coco_json(path, images_path=images_path, choose=choose) if is_coco_file(path) else read_ava_csv(path)
