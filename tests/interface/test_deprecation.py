"""Names that go: each says what to write instead, and none outlives the version in which it should be gone."""

from __future__ import annotations

import warnings

import pytest
from packaging.version import Version

import ava_detect
from ava_detect import AvaDetectWarning, DeprecatedWarning
from ava_detect.interface.deprecation import DEPRECATIONS, Deprecation


@pytest.mark.parametrize("deprecation", DEPRECATIONS, ids=lambda one: one.name)
def test_none_is_overdue(deprecation):
    assert Version(deprecation.since) < Version(deprecation.gone_in)
    assert Version(ava_detect.__version__) < Version(deprecation.gone_in), f"remove {deprecation.name}"


def test_the_warning_points_at_the_code_that_uses_the_name():
    def former_function():
        Deprecation("former_function", "function", "0.2", "0.4").warn()

    with pytest.warns(DeprecatedWarning) as told:
        former_function()
    assert told[0].filename == __file__
    assert str(told[0].message) == (
        "former_function is deprecated since version 0.2 and will be gone in 0.4; write function instead"
    )


def test_it_is_shown_by_default_and_can_be_an_error():
    """Python hides its own ``DeprecationWarning`` from users; this one is an ``AvaDetectWarning``."""
    assert issubclass(DeprecatedWarning, AvaDetectWarning)
    assert not issubclass(DeprecatedWarning, DeprecationWarning)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecatedWarning)
        with pytest.raises(DeprecatedWarning):
            Deprecation("a", "b", "0.2", "0.4").warn()
