"""Videos: finding files, streaming decoding, clips around keyframes, transforms, writing."""
