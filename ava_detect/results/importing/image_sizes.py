"""The size of an image that lies beside the labels."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from pathlib import Path

from PIL import Image


def image_size(names: Iterable[str], folder: Path) -> tuple[int, int] | None:
    """Read the width and height of an image that lies beside the labels.

    Args:
        names: Names or paths of the image, relative to ``folder``.
        folder: The folder of the labels.

    Returns:
        Width and height in pixels; None where the image is not there.
    """
    for name in names:
        for path in (folder / name, folder / re.split(r"[/\\]", name)[-1]):
            try:
                if path.is_file():
                    with warnings.catch_warnings(), Image.open(path) as image:
                        # Only the head is read, however large the picture would be.
                        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                        return image.size
            except (OSError, ValueError, Image.DecompressionBombError):
                continue
    return None
