"""Videos: streaming reading, clips around keyframes, transforms, writing."""
