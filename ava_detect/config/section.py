"""What every section of a config is made of: the base class, and the limits and forms that several sections share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MAX_BLOCKS, MAX_WIDTH, MAX_FEATURES, MAX_CLASSES = 1000, 4096, 100_000, 100_000

# Lists become tuples; their values are as strict as all others.
AS_LIST = Field(strict=False)
Text = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """One mapping of a config file; an unknown key is an error, and a value has the type that the schema says.

    Text is not taken for a number or a truth value, nor one of these for another, and no number is NaN or infinite.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
