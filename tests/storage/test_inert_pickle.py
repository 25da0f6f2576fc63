"""Pickles of any content are read without running them; plain values in them come out as they went in."""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ava_detect.storage.inert_pickle import InertObject, InertPickle
from ava_detect.storage.pickles import Global, PickleRefusedError

keys = st.one_of(st.text(max_size=5), st.integers(), st.none(), st.tuples(st.text(max_size=3), st.integers()))
plain = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=9)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.lists(inner, min_size=4, max_size=6).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
    ),
)


@given(value=plain, protocol=st.integers(0, 5))
def test_plain_values_come_out_as_python_reads_them(value, protocol):
    assert InertPickle(pickle.dumps(value, protocol)).load() == value


@pytest.mark.parametrize("protocol", range(6))
def test_objects_become_stand_ins_beside_plain_values(protocol):
    value = {"args": argparse.Namespace(a={1}), "epoch": 3, "odd": {Path("a"): 1, "plain": 2}}
    reader = InertPickle(pickle.dumps(value, protocol))
    content = reader.load()
    assert content["epoch"] == 3 and content["odd"]["plain"] == 2 and len(content["odd"]) == 2
    assert isinstance(content["args"], InertObject)
    # Protocols 0 and 1 create every object through ``copyreg._reconstructor``.
    assert "argparse.Namespace" in map(str, reader.skipped) or protocol < 2


def unicode(text: str) -> bytes:
    return b"X" + len(text).to_bytes(4, "little") + text.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02cos\nsystem\n" + unicode("exit 1") + b"\x85R.",
        b"\x80\x02(" + unicode("exit 1") + b"ios\nsystem\n.",
        b"\x80\x02(cos\nsystem\n" + unicode("exit 1") + b"o.",
        b"\x80\x02cos\nsystem\n" + unicode("exit 1") + b"\x85\x81.",
        b"\x80\x04" + unicode("os") + unicode("system") + b"\x93" + unicode("exit 1") + b"\x85}\x92.",
    ],
    ids=["REDUCE", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX"],
)
def test_no_way_of_calling_runs_anything(data, monkeypatch):
    def forbidden(command):
        raise AssertionError(f"{command} was run")

    monkeypatch.setattr("os.system", forbidden)
    with pytest.raises((AssertionError, TypeError, pickle.UnpicklingError)):
        pickle.loads(data)
    reader = InertPickle(data)
    assert reader.load().origin == Global("os", "system")
    assert list(reader.skipped) == [Global("os", "system")]


def test_methods_of_stand_ins_are_stand_ins():
    data = b"\x80\x02cbuiltins\ngetattr\ncos\npath\n" + unicode("join") + b"\x86R)R}b."
    assert str(InertPickle(data).load()) == "builtins.getattr"


@pytest.mark.parametrize(
    "data", [b"\x80\x02K\x01)R.", b"\x80\x02(o.", b"\x80\x02\x92.", b"\x80\x020.", b"\x80\x02P1\n."]
)
def test_impossible_operations_are_refused(data):
    with pytest.raises(PickleRefusedError):
        InertPickle(data).load()
