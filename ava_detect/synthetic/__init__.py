"""A rendered world of articulated figures with exact AVA labels: the demo, tests, and proof that training learns.

``world`` makes files; ``planning`` writes shots (``scene``), ``stage`` films them in front of a ``backdrop``;
``actions`` move skeletons, ``figure`` gives them bodies, ``appearance`` clothes, and ``drawing`` puts them on pixels.
Everything follows from a seed; nothing here is downloaded or learned.
"""
