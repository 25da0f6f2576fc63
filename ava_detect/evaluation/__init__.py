"""Scoring: frame-mAP, what the errors are made of, and comparisons. Numbers only, no torch."""
