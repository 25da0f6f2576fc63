"""Person detectors: one Protocol, one file per detector, and specs as text."""
