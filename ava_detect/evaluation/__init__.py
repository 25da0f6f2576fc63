"""Evaluation: frame-mAP, error analysis, and comparison of runs. Numbers only, no torch."""
