"""What a live run gives beside rows: events, alarms, saved clips, messages to other programs, and a page.

``live`` runs it all; ``events`` and ``alarms`` say what happened, ``lines``, ``webhook`` and ``mqtt`` tell it,
``clips`` keeps its pictures, and ``page`` shows it. ``static/`` holds the page.
"""
