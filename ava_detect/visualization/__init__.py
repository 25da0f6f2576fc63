"""What people look at: boxes and labels drawn on frames and videos, plots, the report and the viewer."""
