"""The evaluation report: frame-mAP explained on one HTML page."""
