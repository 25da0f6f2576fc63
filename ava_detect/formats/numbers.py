"""How float32 results are spelled in text: the shortest decimal that reads back as the same float32."""

from __future__ import annotations

import numpy as np


def shortest(value: np.float32) -> float:
    """``value`` as the float whose text is short: float32 0.3 gives 0.3, not 0.30000001192092896."""
    return float(str(value))
