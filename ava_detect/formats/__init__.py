"""Files and text <-> structures. No torch here: reading and scoring results works without it."""
