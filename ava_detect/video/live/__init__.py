"""Streams that do not end: cameras, network streams, pipes, and files played in real time, as keyframes with clips."""
