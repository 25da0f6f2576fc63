"""Keyframes as pandas tables: a row per person and action with the columns of Parquet files, or a row per person.

pandas is loaded when a table is made. Shapes: N people on a keyframe, C actions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ava_detect.formats.parquet import SCHEMA, keyframe_to_table
from ava_detect.structures import ActionDetections
from ava_detect.structures.labels import LabelMap

if TYPE_CHECKING:
    import pandas as pd

# Texts as such: the categories of dictionaries would make the type of a column depend on its content.
_TEXT_COLUMNS = [field.name for field in SCHEMA if pa.types.is_dictionary(field.type)]
_PLAIN_SCHEMA = pa.schema([pa.field(f.name, pa.string() if f.name in _TEXT_COLUMNS else f.type) for f in SCHEMA])
_PERSON_COLUMNS = 8  # those of the schema that describe a person, before those of the action


def action_frame(tables: Iterable[pa.Table]) -> pd.DataFrame:
    """Convert the rows of keyframes to a table with a row per person and action.

    Args:
        tables: Rows, from ``keyframe_to_table``.

    Returns:
        The table, with the columns of Parquet files. Their types are always the same, also without a row; only
        ``track_id`` becomes ``Int64`` where a person has none.
    """
    import pandas as pd

    joined = pa.concat_tables([SCHEMA.empty_table(), *tables]).cast(_PLAIN_SCHEMA)
    mapper = {pa.int64(): pd.Int64Dtype()}.get if joined["track_id"].null_count else None
    frame: pd.DataFrame = joined.to_pandas(types_mapper=mapper)
    return frame


def person_frame(keyframes: Iterable[ActionDetections], label_map: LabelMap, *, min_score: float = 0.0) -> pd.DataFrame:
    """Convert keyframes to a table with a row per person and a column per action.

    Args:
        keyframes: Keyframes with the same score columns.
        label_map: The source of the action names.
        min_score: Smallest action score to show, in 0..1; lower ones are NaN.

    Returns:
        The table: the columns of ``action_frame`` that describe a person, then a float32 column for each action, named
        by the action.
    """
    import pandas as pd

    listed = list(keyframes)
    names = {action.id: action.name for action in label_map}
    ids = label_map.ids if not listed else listed[0].action_ids.tolist()
    no_scores = np.zeros((0, len(ids)), np.float32)
    scores = np.concatenate([no_scores, *(keyframe.action_scores for keyframe in listed)])  # [N of all keyframes, C]
    scores = np.where(scores >= min_score, scores, np.float32(np.nan))
    people = action_frame([_people(keyframe) for keyframe in listed]).iloc[:, :_PERSON_COLUMNS]
    columns = [names.get(action_id, f"action {action_id}") for action_id in ids]
    return pd.concat([people, pd.DataFrame(scores, columns=columns)], axis=1)


def _people(keyframe: ActionDetections) -> pa.Table:
    """One row per person, whose columns of an action are without meaning."""
    ones = np.ones((len(keyframe), 1), np.float32)
    alone = ActionDetections(
        keyframe.video_id,
        keyframe.timestamp_seconds,
        keyframe.boxes_fraction,
        keyframe.person_scores,
        ones,
        track_ids=keyframe.track_ids,
    )
    return keyframe_to_table(alone, LabelMap(()))
