"""The ``ava-detect`` command: one file a command, each parses, calls one function and prints."""

from ava_detect.cli.app import main

__all__ = ["main"]
