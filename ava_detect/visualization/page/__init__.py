"""The page to scrub: results as a static folder that a browser opens from disk.

``reading`` turns a file of results into a ``PeopleTable``; ``truth`` compares two of them; ``media`` makes the video
one that a browser can play; ``folder`` writes it all. What the browser runs lies in ``static/``: plain scripts without
a build step, since a browser loads neither modules nor JSON from ``file://``. Data therefore travels as scripts too,
in pieces that are loaded for the seconds in view.
"""
