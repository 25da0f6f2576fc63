"""``ava-detect train`` as a script, for ``torchrun`` and cluster launchers: the same options."""

import sys

from ava_detect.cli.app import main

main(["train", *sys.argv[1:]])
