"""Time training steps, jobs and predictions, alternatives interleaved."""
