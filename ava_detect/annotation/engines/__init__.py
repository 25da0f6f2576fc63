"""Where work runs: in processes of this machine, or on a Ray cluster. Nothing here knows what the work is."""
