"""The config schema: what a model is, how its clips are cut, which people it looks at, and how it is trained.

A config file says only what differs from the defaults here. An unknown key is an error that names the nearest valid
one and the line. Config objects live on layers 3 to 5; rooms below take plain keyword arguments.
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
