"""A rendered world of articulated figures with exact AVA labels: the demo, tests, and proof that training learns.

``world`` makes files; ``planning`` and ``casting`` write shots (``scene``), ``stage`` films them in front of a
``backdrop`` with ``props`` and ``clutter``; ``poses`` and ``gestures`` move skeletons under the ids of ``actions``
(``motion_pairs``: those that only a fast pathway can tell apart), ``figure`` gives them bodies, ``appearance`` clothes,
and ``drawing`` puts them on pixels. Everything follows from a seed; nothing here is downloaded or learned.
See ``docs/synthetic.md``.
"""
