"""The config schema: the network, its clips, its person detector, its labels, its data and its training.

A config file contains only what differs from the defaults here. An unknown key is an error that names the nearest valid
key and the line. Modules below this package take plain keyword arguments, not config objects.
"""

from ava_detect.config.loading import config_names, load_config
from ava_detect.config.model import BackboneConfig, ClipConfig, DetectorConfig, HeadConfig, ModelConfig, RoIConfig
from ava_detect.config.schema import Config, LabelsConfig
from ava_detect.config.training import DataConfig, SplitConfig, TrainConfig

__all__ = [
    "BackboneConfig",
    "ClipConfig",
    "Config",
    "DataConfig",
    "DetectorConfig",
    "HeadConfig",
    "LabelsConfig",
    "ModelConfig",
    "RoIConfig",
    "SplitConfig",
    "TrainConfig",
    "config_names",
    "load_config",
]
