"""The config schema: the network, its clips, its person detector, its labels, its data and its training.

A config file contains only what differs from the defaults here. An unknown key is an error that names the nearest valid
key and the line. Modules below this package take plain keyword arguments, not config objects.
"""

from ava_detect.config.backbone import BackboneConfig
from ava_detect.config.loading import config_names, load_config
from ava_detect.config.model import ClipConfig, DetectorConfig, HeadConfig, ModelConfig, RelationConfig, RoIConfig
from ava_detect.config.schema import Config, LabelsConfig
from ava_detect.config.slowfast import SlowFastConfig
from ava_detect.config.training import CorrectionsConfig, DataConfig, SplitConfig, TrainConfig
from ava_detect.config.vit import ViTConfig

__all__ = [
    "BackboneConfig",
    "ClipConfig",
    "Config",
    "CorrectionsConfig",
    "DataConfig",
    "DetectorConfig",
    "HeadConfig",
    "LabelsConfig",
    "ModelConfig",
    "RelationConfig",
    "RoIConfig",
    "SlowFastConfig",
    "SplitConfig",
    "TrainConfig",
    "ViTConfig",
    "config_names",
    "load_config",
]
