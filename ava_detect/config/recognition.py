"""Recognise the config of a checkpoint of another package: by its tensors, the settings inside, and last by its name.

The shapes of the tensors tell the network, but not everything that decides a score: RoIAlign's rule or the clip's frame
step leave no trace in them. PySlowFast's files carry these settings in their ``cfg``. Where a file carries none, the
name under which it was published may decide; otherwise the caller must.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ava_detect.config.backbone import BackboneConfig
from ava_detect.config.build import tensor_shapes
from ava_detect.config.loading import config_names, from_values, load_config
from ava_detect.config.schema import Config
from ava_detect.config.slowfast import SlowFastConfig
from ava_detect.config.vit import ViTConfig
from ava_detect.errors import ConfigError, WeightsError, counted, shown
from ava_detect.models.weights.checkpoint_settings import (
    CHECKED_SETTINGS,
    CheckpointSettings,
    config_of_settings,
    settings_of_config,
    settings_of_overrides,
)
from ava_detect.models.weights.key_map import FAMILIES
from ava_detect.models.weights.loading import family_of, our_names, same_shape
from ava_detect.models.weights.mismatch import TransformerShape, describe_start
from ava_detect.models.weights.reading import read_weights_file
from ava_detect.models.weights.renaming import COUNTER
from ava_detect.models.zoo_table import configs_of_file_name

_HEAD = "head."
_HEAD_WEIGHT = "head.projection.weight"
_BLOCK = re.compile(r"backbone\.res([2-5])\.(slow|fast)\.(block|nonlocal)(\d+)\..+")
_STAGES = "2345"
# Our networks read RGB, and say so in no config.
_COMPARED = tuple(name for name in CHECKED_SETTINGS if name != "colour_order")

Shape = tuple[int, ...]


@dataclass(frozen=True)
class RecognisedConfig:
    """The config of a checkpoint.

    Attributes:
        config: The config.
        note: Which one it is, and why, in one sentence.
    """

    config: Config
    note: str


def recognise_config(path: Path, called: str, overrides: Sequence[str] = ()) -> RecognisedConfig:
    """Find the config in ``configs/`` whose network and settings a weights file has.

    Args:
        path: The file.
        called: How the caller names it, for messages.
        overrides: ``section.key=value`` each, applied to every config before it is compared; the file's settings give
            way to them.

    Returns:
        The config, with the overrides, and the file's own settings where these differ.

    Raises:
        WeightsError: The file cannot be read, no config has its network, or several have and nothing decides.
        ConfigError: An override fits no config, or not the one whose network the file has.
    """
    network = _Network.read(path)
    configs, refusing = _configs(overrides)
    fitting = network.of_task({name: config for name, config in configs.items() if network.is_of(config)})
    if not fitting:
        # The file's own config may be one that cannot take the overrides.
        for name, problem in refusing.items():
            if network.is_of(load_config(name)):
                raise problem
        raise WeightsError(_describe_unknown(called, network, configs))
    candidates = _with_settings(fitting, network.settings, settings_of_overrides(overrides))
    exact = [candidate for candidate in candidates if not candidate.adopted]
    candidates = exact or candidates
    by_name = ""
    if len(candidates) > 1:
        published = configs_of_file_name(path.name)
        named = [candidate for candidate in candidates if candidate.name in published]
        if len(named) != 1:
            raise WeightsError(_describe_several(called, candidates))
        others = ", ".join(candidate.name for candidate in candidates if candidate is not named[0])
        by_name = f"; only its name, which is that of a published file of this config, tells it from {others}"
        candidates = named
    (found,) = candidates
    return RecognisedConfig(found.config, _describe_found(called, network, found, len(fitting)) + by_name)


@dataclass(frozen=True)
class _Network:
    """What a file tells of its network.

    ``shapes``: our name -> shape, without counters; ``unknown``: the other names; ``family``: a key of ``FAMILIES``;
    ``laid_out``: the shapes of the networks that were compared with it, of which several configs have the same.
    """

    shapes: Mapping[str, Shape]
    unknown: tuple[str, ...]
    family: str
    settings: CheckpointSettings
    laid_out: dict[str, Mapping[str, Shape]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> _Network:
        file = read_weights_file(path)
        family = family_of(file, "auto")
        names = our_names(file, family)
        shapes = {ours: tuple(file.tensors[name].shape) for name, ours in names.items() if ours is not None}
        unknown = tuple(name for name, ours in names.items() if ours is None)
        return cls(_without_counters(shapes), unknown, family, file.settings)

    def is_of(self, config: Config, *, but_head: bool = False) -> bool:
        """Whether the tensors are those of a config's network; ``but_head``: apart from the last layer's."""
        # These rule out most configs before their networks are laid out.
        if self.unknown or not self._has_size_of(config.model.backbone):
            return False
        if not but_head and self.num_classes != config.model.head.num_classes + config.model.head.background_class:
            return False
        wanted = self._shapes_of(config)
        return all(
            name in self.shapes and name in wanted and same_shape(self.shapes[name], wanted[name], self.family)
            for name in {*self.shapes, *wanted}
            if not (but_head and name.startswith(_HEAD))
        )

    def _has_size_of(self, backbone: BackboneConfig) -> bool:
        """Whether the numbers of blocks are those of a backbone, and the width of a vision transformer."""
        if isinstance(backbone, ViTConfig):
            return self.transformer == TransformerShape(backbone.width, backbone.depth, backbone.tubelet)
        assert isinstance(backbone, SlowFastConfig), "each kind of backbone is recognised here"
        return self.depths == dict.fromkeys(backbone.pathways, backbone.depths)

    def of_task(self, configs: Mapping[str, Config]) -> Mapping[str, Config]:
        """Those of the file's task; all where it knows none, or where none has it: converting may guess a task."""
        same = {name: config for name, config in configs.items() if config.model.task == self.settings.task}
        return same or configs

    def _shapes_of(self, config: Config) -> Mapping[str, Shape]:
        model = config.model
        roi, head = model.roi, model.head
        of_head = (head.num_classes, head.background_class, head.mlp)
        key = repr((model.task, model.backbone, roi.with_global, roi.relation, *of_head))
        if key not in self.laid_out:
            self.laid_out[key] = _without_counters(tensor_shapes(config))
        return self.laid_out[key]

    @property
    def depths(self) -> dict[str, Shape]:
        """Number of blocks in res2..res5 of each pathway."""
        numbers: dict[tuple[str, str], int] = {}
        for match in filter(None, map(_BLOCK.fullmatch, self.shapes)):
            if match[3] == "block":
                key = (match[2], match[1])
                numbers[key] = max(numbers.get(key, 0), int(match[4]) + 1)
        return {
            pathway: tuple(numbers.get((pathway, stage), 0) for stage in _STAGES)
            for pathway in sorted({pathway for pathway, _ in numbers}, reverse=True)
        }

    @property
    def transformer(self) -> TransformerShape | None:
        """Size of a plain vision transformer; None for another network."""
        return TransformerShape.of(self.shapes)

    @property
    def num_classes(self) -> int | None:
        """Rows of the last layer."""
        shape = self.shapes.get(_HEAD_WEIGHT)
        return shape[0] if shape else None

    def __str__(self) -> str:
        parts = [f"{FAMILIES[self.family].family} layout"]
        if self.transformer is not None:
            parts.append(f"a plain vision transformer, {self.transformer}")
        for pathway, depths in self.depths.items():
            stem = self.shapes.get(f"backbone.stem.{pathway}.conv.weight", ())
            width = f", {stem[0]} channels in the stem" if stem else ""
            parts.append(f"a {pathway} pathway of {'-'.join(map(str, depths))} blocks{width}")
        if any(".nonlocal" in name for name in self.shapes):
            parts.append("non-local blocks")
        parts.append("no last layer" if self.num_classes is None else counted(self.num_classes, "class", "classes"))
        if self.unknown:
            names = counted(len(self.unknown), "tensor")
            parts.append(f"{names} that the layout does not know ({shown(self.unknown[0])}, ...)")
        return "; ".join(parts)


@dataclass(frozen=True)
class _Candidate:
    """A config that fits a file; ``adopted``: names of the settings that come from the file."""

    name: str
    config: Config
    adopted: tuple[str, ...]


def _configs(overrides: Sequence[str]) -> tuple[dict[str, Config], dict[str, ConfigError]]:
    """The shipped configs with the overrides, and why the others do not take them."""
    configs: dict[str, Config] = {}
    refusing: dict[str, ConfigError] = {}
    for name in config_names():
        try:
            configs[name] = load_config(name, overrides)
        except ConfigError as error:
            refusing[name] = error
    if not configs:
        raise next(iter(refusing.values()))
    return configs, refusing


def _with_settings(
    fitting: Mapping[str, Config], settings: CheckpointSettings, overridden: Collection[str]
) -> list[_Candidate]:
    """The configs with the file's settings, each different one once: the one that needed the fewest changes."""
    found: dict[str, _Candidate] = {}
    problem: ConfigError | None = None
    for name, config in fitting.items():
        adopted = [setting for setting in _differing(config, settings) if setting not in overridden]
        try:
            candidate = _Candidate(name, _adopt(config, settings, adopted), tuple(adopted))
        except ConfigError as error:
            problem = error
            continue
        key = candidate.config.model_dump_json(include={"model", "clip"}, exclude={"model": {"head": {"dropout"}}})
        if key not in found or len(adopted) < len(found[key].adopted):
            found[key] = candidate
    if not found and problem is not None:
        raise problem
    return list(found.values())


def _differing(config: Config, settings: CheckpointSettings) -> list[str]:
    return settings.differing(settings_of_config(config.model_dump(mode="json")), _COMPARED)


def _adopt(config: Config, settings: CheckpointSettings, names: Sequence[str]) -> Config:
    if not names:
        return config
    part = config_of_settings(CheckpointSettings(**{name: getattr(settings, name) for name in names}))
    values = config.model_dump(mode="json")
    values["clip"].update(part["clip"])
    for section in ("backbone", "roi", "head"):
        values["model"][section].update(part["model"][section])
    origin = "the settings inside the weights file (give a config by `config`)"
    return from_values(Config, values, origin)


def _without_counters(shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    return {name: shape for name, shape in shapes.items() if not name.endswith(COUNTER)}


def _describe_found(called: str, network: _Network, found: _Candidate, num_fitting: int) -> str:
    known = [name for name in network.settings.known() if name in _COMPARED and name not in found.adopted]
    text = f"config {found.name}: {called} has the tensors of its network ({FAMILIES[network.family].family} layout)"
    if num_fitting == 1:
        text += ", as of no other config"
    if known:
        text += f", and the settings inside are its own ({', '.join(known)})"
    if found.adopted:
        text += ", with settings from the file: " + ", ".join(
            f"{name} {shown(getattr(network.settings, name))}" for name in found.adopted
        )
    return text


def _describe_several(called: str, candidates: Sequence[_Candidate]) -> str:
    listed = "; ".join(f"`config={one.name}` ({one.config.description})" for one in candidates)
    return (
        f"{called} has the network of {len(candidates)} configs, and nothing in the file says which one it was trained "
        f"with; give the right one: {listed}"
    )


def _describe_unknown(called: str, network: _Network, configs: Mapping[str, Config]) -> str:
    text = f"{called} has the network of no config that ships ({network})"
    if network.transformer and (start := describe_start(network.unknown, network.num_classes or 0)):
        return f"{text}; {'; '.join(start)}"
    alike = network.of_task({name: c for name, c in configs.items() if network.is_of(c, but_head=True)})
    near = [name for name, config in alike.items() if not _differing(config, network.settings)] or list(alike)
    if near and network.num_classes is not None:
        return (
            f"{text}; all but its last layer is that of {', '.join(near)}: give `config={near[0]}` with "
            f"`overrides=model.head.num_classes={network.num_classes}`, or a config file of your own"
        )
    return f"{text}; give `config=FILE`, a config of that network"
