"""What the config sections of all backbones have in common."""

from __future__ import annotations

from ava_detect.config.section import Section


class BackboneConfig(Section):
    """The section ``model.backbone`` of one kind of backbone.

    Its methods answer what other parts need to know of a backbone before it is built, so that only ``build.py``, which
    calls the constructor, asks which kind it is.

    Attributes:
        kind: Tells the kinds apart.
    """

    kind: str

    def check_clip(self, num_frames: int, short_side: int) -> None:
        """Refuse clips that the backbone cannot read.

        Args:
            num_frames: Frames of a clip.
            short_side: Short side of a clip in pixels.

        Raises:
            ValueError: The clips do not fit.
        """
        raise NotImplementedError

    def check_pool(self, pool_side: int, short_side: int) -> None:
        """Refuse a classifier's averaging window that is larger than the feature map.

        Args:
            pool_side: Side of the window in cells.
            short_side: Short side of a clip in pixels.

        Raises:
            ValueError: The window is larger than the map, or the backbone has no classifier.
        """
        raise NotImplementedError

    @property
    def channels(self) -> list[int]:
        """Channels of each feature map."""
        raise NotImplementedError

    def num_weights(self) -> int:
        """Count the weights; small tensors such as norms may be left out.

        Returns:
            The number.
        """
        raise NotImplementedError

    def num_features(self, num_frames: int, short_side: int) -> int:
        """Count the numbers of the largest features of a square clip.

        Args:
            num_frames: Frames of the clip.
            short_side: Side of the clip in pixels.

        Returns:
            The number.
        """
        raise NotImplementedError
