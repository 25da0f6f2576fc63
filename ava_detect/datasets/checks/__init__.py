"""Faults of data sets, found before a training meets them."""
