"""The published evaluators of tubes, run beside ours, and random sets to run them on."""
