"""What every section of a config is: a frozen value that knows its keys."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One mapping of a config file; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
