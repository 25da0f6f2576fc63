"""A rendered world of articulated figures with exact AVA labels, for the demo, the tests and training experiments.

``world`` writes files. ``planning`` and ``casting`` plan shots (``scene``), and ``stage`` films them in front of a
``backdrop`` with ``props`` and ``clutter``. ``poses`` and ``gestures`` move skeletons according to the ids of
``actions`` (``motion_pairs``: those that only a fast pathway can tell apart). ``figure`` gives skeletons a body,
``appearance`` its clothes, and ``drawing`` renders shapes to pixels. Everything follows from a seed; nothing is
downloaded or learned. See ``docs/synthetic.md``.
"""
