"""Export of saved results to the files that other tools import."""
