"""The appearance of people: size, colors, hair and clothes, drawn at random from palettes of common ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Texture = npt.NDArray[np.float32]

SKIN = [(246, 206, 178), (232, 184, 148), (214, 158, 120), (180, 124, 88), (136, 90, 62), (98, 64, 46)]
HAIR = [(34, 26, 22), (62, 42, 28), (104, 68, 38), (156, 108, 58), (206, 168, 104), (120, 116, 112), (148, 62, 34)]
SHIRTS = [
    (196, 48, 44), (38, 84, 164), (236, 232, 222), (46, 118, 74), (226, 174, 58), (40, 42, 50), (122, 58, 128),
    (92, 156, 196), (222, 118, 60), (150, 152, 158), (226, 150, 170), (58, 136, 138),
]  # fmt: skip
TROUSERS = [(42, 58, 98), (34, 36, 42), (92, 88, 82), (146, 124, 92), (70, 92, 132), (88, 62, 46), (60, 70, 58)]
SHOES = [(30, 28, 28), (222, 220, 214), (110, 66, 40), (168, 44, 44), (60, 64, 84)]


@dataclass(frozen=True, eq=False)
class Look:
    """The appearance of one person. Colors are RGB 0..255 ``[3]``.

    Attributes:
        height_metres: Body height.
        bulk: Factor of the body's width, around 1.
        skin: Color of the skin.
        hair: Color of the hair.
        shirt: Color of the shirt.
        trousers: Color of the trousers.
        shoes: Color of the shoes.
        hair_length: Length of the hair below the crown in metres; 0 is bald.
        long_sleeves: Whether sleeves reach the wrists.
        long_trousers: Whether trousers reach the ankles.
        shirt_texture: Brightness factors ``[a, b]`` over the shirt (folds, stripes).
        trouser_texture: Brightness factors ``[a, b]`` over the trousers.
    """

    height_metres: float
    bulk: float
    skin: Array
    hair: Array
    shirt: Array
    trousers: Array
    shoes: Array
    hair_length: float
    long_sleeves: bool
    long_trousers: bool
    shirt_texture: Texture
    trouser_texture: Texture

    @classmethod
    def random(cls, rng: np.random.Generator) -> Look:
        """Draw the appearance of a person.

        Args:
            rng: Source of the random numbers.

        Returns:
            The appearance.
        """

        def pick(palette: list[tuple[int, int, int]]) -> Array:
            """Draw a color of the palette and vary it a little."""
            color = np.array(palette[rng.integers(len(palette))], dtype=np.float64)
            return np.clip(color * rng.uniform(0.9, 1.08) + rng.normal(0, 4, 3), 8, 250)

        return cls(
            height_metres=float(rng.uniform(1.55, 1.92)),
            bulk=float(rng.uniform(0.92, 1.2)),
            skin=pick(SKIN),
            hair=pick(HAIR),
            shirt=pick(SHIRTS),
            trousers=pick(TROUSERS),
            shoes=pick(SHOES),
            hair_length=float(rng.choice([0.0, 0.10, 0.11, 0.12, 0.24, 0.32], p=[0.08, 0.22, 0.22, 0.14, 0.17, 0.17])),
            long_sleeves=bool(rng.random() < 0.55),
            long_trousers=bool(rng.random() < 0.8),
            shirt_texture=_cloth(rng, striped=rng.random() < 0.3),
            trouser_texture=_cloth(rng, striped=False),
        )


def _cloth(rng: np.random.Generator, *, striped: bool) -> Texture:
    """Draw brightness factors ``[48, 24]`` around 1: soft folds and, if ``striped``, stripes across the body."""
    rows, columns = np.linspace(0, 1, 48)[:, None], np.linspace(-1, 1, 24)[None, :]
    # Folds: a sum of five waves of random direction and frequency.
    folds = np.zeros((48, 24))
    for _ in range(5):
        angle, rate = rng.uniform(-0.6, 0.6), rng.uniform(6, 22)
        folds += np.sin(rate * (rows + angle * columns) + rng.uniform(0, 6.28))
    texture = 1.0 + 0.035 * folds + rng.normal(0, 0.015, folds.shape)
    if striped:
        texture = texture * np.where(np.sin(rows * rng.uniform(40, 70)) > 0.2, 0.72, 1.04)
    return texture.astype(np.float32)
