"""Result viewer: a static folder that shows results on their videos, opened in a browser from disk.

``write_page`` collects the results of a run; ``truth`` compares people with ground truth; ``media`` provides videos
that a browser can play; ``packing`` turns a video's people into data; ``folder`` writes the files. ``static/`` holds
the scripts that run in the browser. They are plain scripts without a build step, because a browser loads neither
modules nor JSON from ``file://``. The data are therefore scripts too, in pieces for the part of the video on view.
"""
