"""Choose the config: the one that the caller names, or the one that the weights were trained with. Needs no PyTorch."""

from __future__ import annotations

from pathlib import Path

from ava_detect.config import Config, load_config
from ava_detect.config.loading import from_values
from ava_detect.errors import shown
from ava_detect.models.own_format import config_inside
from ava_detect.models.zoo import RANDOM_WEIGHTS, find_entry, is_file, resolve
from ava_detect.storage.addresses import is_address, without_secrets


def config_of(config: Config | str | Path | None, weights: str | Path | None = None) -> Config:
    """Return the named config, or else the one that the weights were trained with.

    Args:
        config: A config, the path of a config file, or a name in ``configs/``; None to take that of the weights.
        weights: A weights file, an address, a name of the zoo, ``"random"`` or None.

    Returns:
        ``config`` if given. Otherwise the config inside a weights file that this package wrote, or the zoo's for a name
        of the zoo; ``demo`` for any other file and where neither is given.

    Raises:
        ConfigError: The config cannot be found or read, or the one inside the weights does not fit this release.
        WeightsError: The weights are not a file, and the zoo has no such name; or they cannot be downloaded.
    """
    if isinstance(config, Config):
        return config
    if config is None and weights is not None and str(weights) != RANDOM_WEIGHTS:
        if not (is_file(weights) or is_address(weights)):
            return load_config(find_entry(str(weights)).config)
        inside = config_inside(resolve(weights))
        if inside is not None:
            return from_values(
                Config, inside, f"{shown(without_secrets(str(weights)))}, the config inside (give another by `config`)"
            )
    return load_config("demo" if config is None else config)
