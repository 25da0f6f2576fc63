"""``ava-detect evaluate`` as a script, for cluster launchers: the same options."""

import sys

from ava_detect.cli.app import main

main(["evaluate", *sys.argv[1:]])
