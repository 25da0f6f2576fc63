"""Choose the network of a call: weights where none are named, and the config that belongs to the weights.

PyTorch is loaded only to recognise a checkpoint of another package, or to find out whether there is a GPU.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ava_detect.config.loading import from_values, load_config, with_overrides
from ava_detect.config.schema import Config
from ava_detect.errors import ChoiceWarning, ConfigError, shown
from ava_detect.models.network_options import resolve_device
from ava_detect.models.own_format import config_inside
from ava_detect.models.zoo import RANDOM_WEIGHTS, SHIPPED, describe, find_entry, is_file, resolve, weights_file
from ava_detect.models.zoo_choice import DEVICES, default_for
from ava_detect.models.zoo_table import runnable
from ava_detect.storage.addresses import is_address, without_secrets
from ava_detect.structures.progress import OnProgress

# Of the clips that a network was trained on; the other settings of a clip may be changed for a test.
_TRAINED_CLIP = {"num_frames", "sampling_rate", "sampling_fps", "frame_offsets", "mean", "std"}


@dataclass(frozen=True)
class NetworkChoice:
    """A config and the weights that belong to it.

    Attributes:
        config: The config, with the overrides.
        weights: A weights file, an address, a name of the zoo or of weights in the package, or ``"random"``.
        note: What was chosen and why, in one sentence; empty where the caller named it.
        overrides: The overrides that are in the config: contradicting settings inside the weights file give way to
            them.
    """

    config: Config
    weights: str
    note: str = ""
    overrides: tuple[str, ...] = ()

    def announce(self) -> NetworkChoice:
        """Warn of what the caller did not choose (``ChoiceWarning``), before the work starts.

        Returns:
            The choice itself.
        """
        if self.note:
            warnings.warn(self.note, ChoiceWarning, stacklevel=3)
        return self

    def weights_file(self, on_progress: OnProgress | None = None) -> Path | None:
        """Return the weights file, downloaded if it is neither on this machine nor in the cache.

        Args:
            on_progress: Called with the number of bytes while a download runs.

        Returns:
            A local path; None for ``"random"``.

        Raises:
            WeightsError: The file cannot be had.
        """
        return weights_file(self.weights, on_progress)


def choose_network(
    weights: str | Path | None = None,
    config: Config | str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    device: str = "auto",
) -> NetworkChoice:
    """Complete what the caller says about the network; nothing is downloaded from the zoo yet.

    Args:
        weights: A weights file of any family, its address, a name of the zoo, ``"demo"``, or ``"random"`` for an
            untrained network. None for the zoo's default weights for the device, if they fit ``config``.
        config: A config, the path of a config file, or a name in ``configs/``. None for the config of the weights: the
            zoo's for a name; the one inside a file of this package; otherwise the one in ``configs/`` whose network and
            settings a file has. ``demo`` for ``"random"``.
        overrides: ``section.key=value`` each, in place of the config's values.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``: where the network is to run, for the default weights.

    Returns:
        The config and the weights.

    Raises:
        ConfigError: The config or an override cannot be used, or the default weights do not fit the config.
        WeightsError: There are no such weights, or their config cannot be told; the message lists the candidates.
    """
    if isinstance(overrides, str):
        overrides = (overrides,)
    given = None
    if config is not None:
        given = with_overrides(config, overrides) if isinstance(config, Config) else load_config(config, overrides)
    name = None if weights is None else str(weights)
    if name is None:
        choice = _default(config, given, overrides, device)
    elif given is not None:
        choice = NetworkChoice(given, name)
    elif name == RANDOM_WEIGHTS:
        choice = NetworkChoice(load_config("demo", overrides), name)
    elif is_file(name) or is_address(name):
        choice = _of_file(name, overrides)
    else:
        choice = NetworkChoice(load_config(find_entry(name).config, overrides), name)
    return replace(choice, overrides=tuple(overrides))


def _of_file(weights: str, overrides: Sequence[str]) -> NetworkChoice:
    """The choice for a weights file without a config."""
    path = resolve(weights)
    called = shown(without_secrets(weights))
    inside = config_inside(path)
    if inside is not None and _is_whole(inside):
        origin = f"{called}, the config inside (give another by `config`)"
        return NetworkChoice(with_overrides(from_values(Config, inside, origin), overrides), weights)
    from ava_detect.config.recognition import recognise_config  # with PyTorch

    recognised = recognise_config(path, called, overrides)
    return NetworkChoice(recognised.config, weights, recognised.note)


def _is_whole(inside: object) -> bool:
    """Whether the config in a file describes its network; a converted file has only the known part of one."""
    for key in ("model", "backbone"):
        inside = inside.get(key) if isinstance(inside, dict) else None
    return isinstance(inside, dict) and any(inside.get(key) is not None for key in ("depths", "depth"))


def _default(
    named: Config | str | Path | None, config: Config | None, overrides: Sequence[str], device: str
) -> NetworkChoice:
    """The zoo's default weights for a device, if they fit the config; ``named``: the config without overrides."""
    device = resolve_device(device)
    entry = default_for(device)
    if named is not None and config is not None:
        config.require_detection()
        base = named if isinstance(named, Config) else load_config(named)
        if not _fits(base, entry.config):
            raise ConfigError(_no_weights(base, entry.name))
    note = f"weights {entry.name}, the default for {DEVICES[device]}: {describe(entry)}"
    return NetworkChoice(load_config(entry.config, overrides) if config is None else config, entry.name, note)


def _no_weights(config: Config, default: str) -> str:
    """The message where no weights are given and the default ones do not fit."""
    configs = {name: name for name in SHIPPED}
    configs |= {entry.name: entry.config for entry in runnable() if not entry.is_start}
    fits = {published: _fits(config, published) for published in {*configs.values()}}
    fitting = [name for name, published in configs.items() if fits[published]]
    names = ", ".join(f"`weights={name}`" for name in fitting)
    those = f"{names} ({'which fits it' if len(fitting) == 1 else 'which fit it'}), " if fitting else ""
    others = "" if fitting else ", nor do any others of the zoo"
    return (
        f"there are no weights: give `weights=FILE` (a checkpoint trained with the config), {those}or "
        f"`weights={RANDOM_WEIGHTS}` to try an untrained network; the default {default} do not fit this "
        f"config{others}"
    )


def _fits(config: Config, published: str) -> bool:
    """Whether weights of a shipped config can be used with a config: the same network and the same kind of clips."""
    other = load_config(published)
    same_clip = config.clip.model_dump(include=_TRAINED_CLIP) == other.clip.model_dump(include=_TRAINED_CLIP)
    same_head = config.model.head.model_copy(update={"dropout": other.model.head.dropout}) == other.model.head
    same_network = config.model.backbone == other.model.backbone and config.model.roi == other.model.roi
    return same_clip and same_head and same_network and config.model.task == other.model.task
