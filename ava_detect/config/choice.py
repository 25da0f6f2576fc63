"""Which config is meant: the one that was named, or the one that the weights were trained with. Needs no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ava_detect.config import Config, load_config
from ava_detect.errors import ConfigError
from ava_detect.models.own_format import config_inside
from ava_detect.models.zoo import RANDOM_WEIGHTS, find_entry, is_file, resolve
from ava_detect.storage.addresses import is_address, without_secrets


def config_of(config: Config | str | Path | None, weights: str | Path | None = None) -> Config:
    """The config that is named, else the one that ``weights`` were trained with: inside a file that this package wrote,
    or the zoo's for a name of the zoo. ``demo`` for any other file, and where neither is given.
    """
    if isinstance(config, Config):
        return config
    if config is None and weights is not None and str(weights) != RANDOM_WEIGHTS:
        if not (is_file(weights) or is_address(weights)):
            return load_config(find_entry(str(weights)).config)
        inside = config_inside(resolve(weights))
        if inside is not None:
            return _as_config(inside, weights)
    return load_config("demo" if config is None else config)


def _as_config(inside: Mapping[str, Any], weights: str | Path) -> Config:
    try:
        return Config.model_validate(inside)
    except ValidationError as error:
        shown = without_secrets(str(weights))
        raise ConfigError(
            f"{shown}: the config inside does not fit this release ({error.errors()[0]['msg']}); name one by `config`"
        ) from error
