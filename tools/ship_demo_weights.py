"""Copy the weights and the log of a training of ``configs/demo.yaml`` into the package.

    python tools/ship_demo_weights.py RUN

``RUN`` is the output folder of ``ava-detect train``. The weights are rounded to float16. The config inside the file is
the shipped one, without the data paths of the training.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from ava_detect.config import load_config
from ava_detect.config.build import build_model
from ava_detect.models.weights import convert, load_weights, save_weights
from ava_detect.models.zoo import SHIPPED


def main() -> None:
    """Parse the arguments, convert the weights, copy the logs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    run = parser.parse_args().run
    target = SHIPPED["demo"]
    config = load_config("demo")
    model = build_model(config)
    load_weights(model, run / "model.safetensors")
    with TemporaryDirectory() as folder:
        whole = save_weights(model, Path(folder) / "whole.safetensors", config=config.model_dump(mode="json"))
        print(convert(whole, target, to="ava_detect", half=True))
    for name in ("log.csv", "validation.csv"):
        shutil.copyfile(run / name, target.with_name(f"demo_{name}"))
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
