"""``ava-detect annotate`` as a script, for cluster launchers: the same options."""

import sys

from ava_detect.cli.app import main

main(["annotate", *sys.argv[1:]])
