"""Readers and writers of result and annotation files; none imports torch."""
