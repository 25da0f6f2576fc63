"""The config of a training that names none: that of the weights that it starts from, with a short recipe.

A network that is good already needs a few passes at a low rate. The rate of a recipe is for its batch size, and changes
with it in proportion (Goyal et al., arXiv 1706.02677).
"""

from __future__ import annotations

from collections.abc import Sequence

from ava_detect.config.choice import choose_network
from ava_detect.config.loading import with_overrides
from ava_detect.config.schema import Config
from ava_detect.config.training import DataConfig, TrainConfig
from ava_detect.errors import ConfigError

# Some ten steps an epoch from a hundred keyframes.
_BATCH_SIZE = 8
_EPOCHS = 10
# Of the rate with which the weights were trained, for the same batch size.
_RATE_FACTOR = 0.1
_INITIALISE = "train.initialise"


def fine_tuning_config(overrides: Sequence[str]) -> Config:
    """Return the config for training weights further: ``train.initialise`` among the overrides names them.

    Batches of 8 clips, 10 epochs, a tenth of the learning rate of the weights' config in proportion to the batch, a
    cosine after one epoch of warm-up, and no moving average, which would hold on to the old weights.

    Args:
        overrides: ``section.key=value`` each, as for ``load_config``; they replace the values of the recipe. The data
            are theirs alone: a config inside the weights says where others have theirs.

    Returns:
        The config.

    Raises:
        ConfigError: ``train.initialise`` is missing, or a value does not fit the schema.
        WeightsError: There are no such weights, or their config cannot be told.
    """
    named = [text for text in overrides if text.partition("=")[0].strip() == _INITIALISE]
    weights = with_overrides(Config(), named[-1:]).train.initialise
    if weights is None:
        raise ConfigError(
            f"there is no config and no {_INITIALISE}; give the weights to train further (`{_INITIALISE}=FILE`), whose "
            "config is then used, or a config (`config`)"
        )
    config = choose_network(weights).config
    of_others = {"train", "val", "corrections", "start_seconds"}
    if config.data.kind == "tubes":
        of_others |= {"kind", "split"}
    data = DataConfig.model_validate(config.data.model_dump(exclude=of_others, exclude_unset=True))
    return with_overrides(config.model_copy(update={"data": data, "train": _recipe(config.train)}), overrides)


def _recipe(before: TrainConfig) -> TrainConfig:
    batch_size = min(_BATCH_SIZE, before.batch_size)
    return before.model_copy(
        update={
            "epochs": _EPOCHS,
            "batch_size": batch_size,
            "accumulate": 1,
            "learning_rate": before.learning_rate * _RATE_FACTOR * batch_size / before.batch_size,
            "schedule": "cosine",
            "cosine_end": 0.0,
            "warmup_epochs": 1.0,
            "warmup_start": 0.0,
            "ema_decay": None,
            "eval_every": 1,
            "eval_keyframes": None,
            "save_every": None,
        }
    )
