"""``ava-detect evaluate`` as a script, for cluster launchers: the same options."""

import sys

from ava_detect.cli import main

main(["evaluate", *sys.argv[1:]])
