"""Shared by the scripts that measure pages: long videos with results, a server of a review, and a browser."""
