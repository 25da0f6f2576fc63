from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_detect.datasets.packed import LruCache, PackedLists, PackedStrings


@given(st.lists(st.text()))
def test_texts_come_back(texts):
    packed = PackedStrings.of(texts)
    assert list(packed) == texts
    assert packed[1:] == texts[1:]
    assert list(pickle.loads(pickle.dumps(packed))) == texts


def test_texts_are_numbered_as_a_list_is():
    packed = PackedStrings.of(["a", "", "ü"])
    assert (packed[-1], packed[1]) == ("ü", "")
    with pytest.raises(IndexError):
        packed[3]


@given(st.lists(st.lists(st.integers(0, 99))))
def test_lists_come_back(lists):
    values = np.array([value for entries in lists for value in entries], np.int16)
    packed = PackedLists.of(values, np.array([len(entries) for entries in lists], np.int64))
    assert [packed[i].tolist() for i in range(len(packed))] == lists


def test_the_least_recent_is_forgotten():
    made = []
    recent = LruCache(2, lambda number: made.append(number) or number)
    for number in (1, 2, 1, 3, 1, 2):
        assert recent[number] == number
    assert made == [1, 2, 3, 2]
