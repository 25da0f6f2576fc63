"""Results on disk: manifests, datasets, files of results read back, and their export to other tools."""
