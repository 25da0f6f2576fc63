"""Keys of keyframes: equal exactly where the official script's text keys are."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ava_detect.evaluation.keyframes import KeyframeKeys, key_seconds
from ava_detect.formats.ava_csv import AvaTable


def keys_of(seconds: list[float]) -> np.ndarray:
    return KeyframeKeys().of_rows(AvaTable.from_columns(["v"] * len(seconds), seconds, [(0, 0, 1, 1)] * len(seconds)))


def test_a_seventh_decimal_of_5_is_rounded_as_text_is() -> None:
    rng = random.Random(0)
    seconds = [float(f"{rng.randrange(2000)}.{rng.randrange(10**6):06d}5") for _ in range(5000)]
    # A product with 1e6 rounds some of them the other way.
    assert [round(second * 1e6) for second in seconds] != [int(f"{second:.6f}".replace(".", "")) for second in seconds]
    assert [f"{second:.6f}" for second in key_seconds(keys_of(seconds))] == [f"{second:.6f}" for second in seconds]


@given(st.lists(st.floats(-2e6, 2e6), min_size=1, max_size=20))
def test_keys_are_the_texts_with_six_decimals(seconds: list[float]) -> None:
    texts = [f"{second:.6f}".replace("-0.000000", "0.000000") for second in seconds]
    keys = keys_of(seconds).tolist()
    assert [[one == other for other in keys] for one in keys] == [[one == other for other in texts] for one in texts]
