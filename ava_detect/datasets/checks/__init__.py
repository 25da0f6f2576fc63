"""Checks that find faults of a dataset before training."""
