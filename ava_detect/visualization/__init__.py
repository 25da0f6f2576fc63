"""Drawing of detections: boxes and labels on frames and videos, plots, the evaluation report and the result viewer."""
