"""Corrections of results by people: an append-only log per video, and the keyframes that follow from it."""
