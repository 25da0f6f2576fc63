"""``ava-detect annotate`` as a script, for cluster launchers: the same options."""

import sys

from ava_detect.cli import main

main(["annotate", *sys.argv[1:]])
