"""What runs leave behind: manifests, datasets, saved results, and their export to other tools."""
