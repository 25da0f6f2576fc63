"""Saved results as the files that other tools import."""
