"""The HTML report that explains an evaluation."""
