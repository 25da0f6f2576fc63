"""docs/training.md names every setting, with its default where that is one word."""

import re
from pathlib import Path

import pytest

from ava_detect.config import DataConfig, TrainConfig
from ava_detect.models.zoo import SHIPPED
from ava_detect.models.zoo_table import ZOO

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "training.md").read_text()
NOTES = (DOCS / "notes" / "training.md").read_text()


@pytest.mark.parametrize("section", [TrainConfig, DataConfig])
def test_every_setting_is_explained(section):
    rows = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    explained = {name.strip("` ") for row in rows for name in row.split(",")}
    assert set(section.model_fields) <= explained


def test_plain_defaults_are_those_of_the_schema():
    for name in ("epochs", "batch_size", "accumulate", "learning_rate", "schedule", "precision", "seed", "log_every"):
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |"))
        assert row.split("|")[2].strip() == str(TrainConfig.model_fields[name].default)


def test_weights_that_are_named_exist():
    names = re.findall(r"initialise(?:=|: )(\w+)", PAGE + NOTES)
    assert len(names) == 4
    assert set(names) <= {*ZOO, *SHIPPED}
