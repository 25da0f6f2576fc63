"""``ava-detect benchmark`` as a script, for cluster launchers: the same options."""

import sys

from ava_detect.cli.app import main

main(["benchmark", *sys.argv[1:]])
