"""One video in, detections out: the pipeline, its stages, and what looks at single keyframes."""
