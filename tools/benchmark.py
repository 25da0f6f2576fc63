"""``ava-detect benchmark`` as a script, for cluster launchers: the same options."""

import sys

from ava_detect.cli import main

main(["benchmark", *sys.argv[1:]])
