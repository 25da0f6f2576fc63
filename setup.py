"""Everything about the package stands in setup.cfg; this adds what that file cannot.

These are the folders and pages that ``packages = find:`` does not see, and the address of the project, which the
workflow that releases it knows.
"""

import os
from pathlib import Path
from typing import Any

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

# Of the documentation, beside docs/.
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
# The repository's address on its host; with it the package's page has links.
HOME_VARIABLE = "AVA_DETECT_HOME"


class WithDataFolders(Distribution):
    """``configs/``, ``annotations/`` and ``docs/`` have no code, and their folders do not lie below ``ava_detect/``."""

    def parse_config_files(self, *arguments: Any, **options: Any) -> None:
        """Add the folders to what ``find:`` found, and the links where the repository's address is given."""
        super().parse_config_files(*arguments, **options)
        if home := os.environ.get(HOME_VARIABLE, "").rstrip("/"):
            self.metadata.project_urls = {
                "Source": home,
                "Changelog": f"{home}/blob/main/CHANGELOG.md",
                "Documentation": f"{home}/tree/main/docs",
                "Issues": f"{home}/issues",
            }
        self.packages = sorted({*self.packages, "ava_detect.annotations", "ava_detect.configs", "ava_detect.docs"})


class WithPages(build_py):
    """The pages at the top of the checkout are installed inside the package, where the links of docs/ find them."""

    def run(self) -> None:
        """Build, then copy the pages; an editable installation reads them where they are."""
        super().run()
        if not self.editable_mode:
            for page in PAGES:
                self.copy_file(page, str(Path(self.build_lib) / "ava_detect" / page))

    def get_source_files(self) -> list[str]:
        """Name the pages too, for the source distribution."""
        return [*super().get_source_files(), *PAGES]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Name the copies too."""
        copies = [str(Path(self.build_lib) / "ava_detect" / page) for page in PAGES]
        return [*super().get_outputs(include_bytecode), *copies]


setup(distclass=WithDataFolders, cmdclass={"build_py": WithPages})
