"""The reference cases of the peers' own code, found in the folders ``shared/cases/parity*`` beside the checkout."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

_CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
# Networks above this many parameters take more than ten seconds on the slowest machines that run the tests.
_SLOW_PARAMETERS = 10_000_000
# Known cases: a folder that has lost one of them tests less than it says.
KNOWN = {
    "mm_ava_slowfast_r50_4x16",
    "mm_slowonly_nl_head",
    "mm_vit_tiny",
    "psf_ava_c2_slowfast_32x2_r101_50_50",
    "psf_ava_slowfast_32x2_r50_short",
    "psf_kinetics_slowfast_4x16_r50",
    "psf_tiny_ava",
    "psf_tiny_ava_nln",
    "psf_tiny_charades",
    "ptv_slowfast_r50",
    "umt_tiny",
    "umt_vit_base",
    "vmad_tiny",
}


@cache
def case_folders() -> dict[str, Path]:
    """Name of each case -> its folder; empty where there is no folder ``shared``."""
    return {path.parent.name: path.parent for path in sorted(_CASES.glob("parity*/*/meta.json"))}


@cache
def meta_of(name: str) -> Any:
    """The content of a case's ``meta.json``."""
    return json.loads((case_folders()[name] / "meta.json").read_text())


def case_parameters() -> list[Any]:
    """Every case that is there as a parameter of a test, the large networks marked slow; the known ones without it."""
    return [pytest.param(name, marks=_marks(name)) for name in sorted(case_folders())] or sorted(KNOWN)


def _marks(name: str) -> list[pytest.MarkDecorator]:
    meta = meta_of(name)
    return [pytest.mark.slow] if meta["params"] > _SLOW_PARAMETERS else []
