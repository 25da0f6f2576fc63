"""From a config to the network and the label map that it describes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ava_detect.config import BackboneConfig, Config, LabelsConfig, RoIConfig, SlowFastConfig, ViTConfig, load_config
from ava_detect.config.memory import require_memory
from ava_detect.errors import ConfigError, counted, shown
from ava_detect.formats.tube_pickles import read_tube_annotations
from ava_detect.models.action_detector import ActionClassifier, ActionDetector
from ava_detect.models.backbone import Backbone
from ava_detect.models.heads import ClassificationHead, ProjectionHead
from ava_detect.models.laterals import LateralSettings
from ava_detect.models.relation import ActorRelation
from ava_detect.models.roi import RoIPool
from ava_detect.models.slowfast import NonLocalSettings, SlowFast
from ava_detect.models.vit import VisionTransformer
from ava_detect.models.weights import WeightsReport
from ava_detect.models.weights.checkpoint_settings import settings_of_overrides
from ava_detect.models.weights.loading import load_file
from ava_detect.models.weights.reading import read_weights_file
from ava_detect.structures.labels import Action, LabelMap

_MAX_SHOWN = 5
# The functions with which layers draw their first weights: most of the time to build a network.
_INITIALISERS = ("normal_", "uniform_", "kaiming_normal_", "kaiming_uniform_")
_RANDOM = (Tensor.normal_, Tensor.uniform_, *(getattr(nn.init, name) for name in _INITIALISERS))


def build_model(config: Config | str | Path, *, seed: int = 0) -> ActionDetector | ActionClassifier:
    """Build the network of a config with random weights, in evaluation mode.

    Args:
        config: A config, the path of a config file, or a name in ``configs/``. Its ``model.task`` decides between a
            detector and a classifier.
        seed: Seed of the weights; the same seed gives the same weights. The caller's random state is not changed.

    Returns:
        The network, on the CPU.

    Raises:
        ConfigError: The config cannot be found or read, or its network and one clip need more memory than the machine
            has.
    """
    config = config if isinstance(config, Config) else load_config(config)
    require_memory(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _network(config)
    return model.eval()


def tensor_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a network's tensors, without the memory and time of building it.

    Args:
        config: The config.

    Returns:
        Our name of the tensor -> its shape.
    """
    with torch.device("meta"), _NoRandomNumbers():
        model = _network(config)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def build_with_weights(
    config: Config | str | Path, weights: str | Path | None, overrides: Sequence[str] = ()
) -> tuple[ActionDetector | ActionClassifier, WeightsReport | None]:
    """Build the network of a config and load its weights; a file that is no weights file is refused before.

    Args:
        config: As for ``build_model``.
        weights: The weights file; None for the random weights.
        overrides: ``section.key=value`` each, which are in ``config`` already: contradicting settings inside the file
            give way to them, and all others are an error.

    Returns:
        The network, in evaluation mode on the CPU, and the report on its weights; None for random ones.

    Raises:
        ConfigError: As for ``build_model``.
        WeightsError: The file is no weights file, or does not fit the network.
    """
    if weights is None:
        return build_model(config), None
    file = read_weights_file(weights)
    config = config if isinstance(config, Config) else load_config(config)
    require_memory(config)
    with _NoRandomNumbers():
        model = _network(config).eval()
    return model, load_file(model, file, settings_of_overrides(overrides))


class _NoRandomNumbers(TorchFunctionMode):
    """Leaves memory as it is where random weights would fill it: for a caller that fills all of it, or none."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _RANDOM:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def build_backbone(config: BackboneConfig) -> Backbone:
    """Build the backbone of a config; its weights come from torch's current random state.

    Args:
        config: The section ``model.backbone``.

    Returns:
        The backbone, on the CPU, in training mode.
    """
    if isinstance(config, ViTConfig):
        return VisionTransformer(**config.model_dump(exclude={"kind"}))
    assert isinstance(config, SlowFastConfig), "each kind of backbone has its constructor here"
    return SlowFast(
        pathways=config.pathways,
        depths=config.depths,
        num_temporal=config.num_temporal,
        temporal_kernels=config.temporal_kernels,
        width=config.width,
        alpha=config.alpha,
        beta_inv=config.beta_inv,
        slow_frames=config.slow_frames,
        strides=config.strides,
        dilations=config.dilations,
        lateral=LateralSettings(
            fusion_ratio=config.fusion_ratio,
            fusion_kernel=config.fusion_kernel,
            kind=config.lateral_kind,
            merge=config.lateral_merge,
            norm=config.lateral_norm,
        ),
        non_local=NonLocalSettings(
            blocks=config.nonlocal_blocks,
            affinity=config.nonlocal_affinity,
            pool=config.nonlocal_pool,
            groups=config.nonlocal_groups,
            pool_place=config.nonlocal_pool_place,
            out_bias=config.nonlocal_out_bias,
        ),
    )


def _network(config: Config) -> ActionDetector | ActionClassifier:
    return _classifier(config) if config.model.task == "classification" else _detector(config)


def _detector(config: Config) -> ActionDetector:
    backbone = build_backbone(config.model.backbone)
    roi = config.model.roi
    stride = roi.feature_stride or backbone.feature_stride
    roi_pool = RoIPool(
        **roi.model_dump(exclude={"feature_stride", "relation"}),
        feature_stride=stride,
        relation=_relation(roi, backbone.out_channels),
    )
    head = ProjectionHead(
        roi_pool.num_features(backbone.out_channels),
        **config.model.head.model_dump(exclude={"activation", "pool_size"}),
    )
    return ActionDetector(backbone, roi_pool, head, config.clip.settings())


def _relation(roi: RoIConfig, channels: Sequence[int]) -> ActorRelation | None:
    """The relation of a config; its actors are as long as the boxes' features without it."""
    if roi.relation is None:
        return None
    actor = RoIPool(with_global=roi.with_global).num_features(channels)
    out_channels = roi.relation.channels or sum(channels)
    return ActorRelation(actor, sum(channels), out_channels, **roi.relation.model_dump(exclude={"channels"}))


def _classifier(config: Config) -> ActionClassifier:
    backbone = build_backbone(config.model.backbone)
    head_config = config.model.head
    side = head_config.pool_size
    # The window covers all time steps of each map.
    lengths = [len(frames) for frames in backbone.frames_of_maps(config.clip.num_frames)]
    head = ClassificationHead(
        backbone.out_channels,
        head_config.num_classes,
        pool_sizes=[None if side is None else (length, side, side) for length in lengths],
        dropout=head_config.dropout,
    )
    return ActionClassifier(backbone, head, config.clip.settings(), activation=head_config.activation)


def label_map_of(config: Config) -> LabelMap:
    """Return the actions of the model's output columns, in order.

    They are those of ``config.labels``. Where it names none, they are those of the pickle of a data set of tubes, with
    ids from 1; else, where the model's width is not AVA's, the actions are numbered from 1.

    Args:
        config: The config of the model.

    Returns:
        A label map with ``model.head.num_classes`` actions.

    Raises:
        ConfigError: ``labels.ids`` are not in the label map, or the number of actions is not that of the columns.
        FormatError: The label map or the pickle cannot be read.
    """
    labels, num_classes = config.labels, config.model.head.num_classes
    if labels.text is not None:
        return LabelMap.from_text(labels.text, "the label map in the config")
    if (pickle := _pickle_of_labels(config)) is not None:
        return _of_pickle(pickle, num_classes)
    if labels.map is None and not labels.ids and num_classes != len(LabelMap.ava()):
        return LabelMap(tuple(Action(i, f"action {i}") for i in range(1, num_classes + 1)))
    known = LabelMap.ava() if labels.map is None else LabelMap.from_pbtxt(labels.map)
    unknown = [str(action_id) for action_id in labels.ids if action_id not in known]
    if unknown:
        more = f" and {len(unknown) - _MAX_SHOWN} more" if len(unknown) > _MAX_SHOWN else ""
        named = ", ".join(unknown[:_MAX_SHOWN]) + more
        raise ConfigError(f"labels.ids {named} are not in the label map {labels.map or 'of AVA'}")
    actions = known.subset(labels.ids) if labels.ids else known
    if len(actions) != num_classes:
        raise ConfigError(
            f"the label map {labels.map} names {len(actions)} actions, but model.head.num_classes is {num_classes}; "
            "the two numbers must be equal"
        )
    return actions


def _pickle_of_labels(config: Config) -> Path | None:
    """The data set that names the actions, where the config names none."""
    files = config.data.train or config.data.val
    if config.data.kind != "tubes" or files is None or config.labels.map is not None or config.labels.ids:
        return None
    return Path(files.annotations)


def _of_pickle(path: Path, num_classes: int) -> LabelMap:
    try:
        state = path.stat()
    except OSError:
        actions = read_tube_annotations(path).actions  # whose error says what is wrong
    else:
        actions = _actions_of(path, state.st_mtime_ns, state.st_size)
    if len(actions) != num_classes:
        raise ConfigError(
            f"{shown(path)} labels {counted(len(actions), 'action')}, but model.head.num_classes is {num_classes}; the "
            "two numbers must be equal"
        )
    return actions


@lru_cache(maxsize=4)
def _actions_of(path: Path, _modified: int, _num_bytes: int) -> LabelMap:
    """The actions of a pickle, which is read once and again when it has changed."""
    return read_tube_annotations(path).actions


def self_contained(config: Config) -> Config:
    """Return the config with the text of its label map inside, so that it does not depend on the map's file.

    Args:
        config: The config of the model.

    Returns:
        A changed copy, or ``config`` itself where no file names its actions.

    Raises:
        ConfigError: The label map does not fit the model; see ``label_map_of``.
    """
    if config.labels.map is None and (config.labels.text is not None or _pickle_of_labels(config) is None):
        return config
    return config.model_copy(update={"labels": LabelsConfig(text=label_map_of(config).to_pbtxt())})
