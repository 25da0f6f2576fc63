"""Review of results: the page in an edit mode, from a small server on this machine.

``review`` holds the corrections and takes one event after another; ``page_files`` prepares what the browser loads;
``guard`` refuses requests that are not the page's own; ``app`` connects them to addresses, and ``serve`` runs it all.
``static/`` holds the scripts of the edit mode, which are loaded on top of those of ``visualization/page``.
"""
