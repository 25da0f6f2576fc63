"""Everything about the package stands in setup.cfg. This adds what ``packages = find:`` there cannot see."""

from typing import Any

from setuptools import Distribution, setup


class WithDataFolders(Distribution):
    """``configs/`` and ``annotations/`` have no code, and their folders do not lie below ``ava_detect/``."""

    def parse_config_files(self, *arguments: Any, **options: Any) -> None:
        """Add the two folders to what ``find:`` found."""
        super().parse_config_files(*arguments, **options)
        self.packages = sorted({*self.packages, "ava_detect.annotations", "ava_detect.configs"})


setup(distclass=WithDataFolders)
