"""``python -m ava_detect``."""

from ava_detect.cli import main

main()
