"""Time training steps, jobs and predictions, each alternative in turn."""
