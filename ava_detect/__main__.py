"""``python -m ava_detect``."""

from ava_detect.cli.app import main

main()
