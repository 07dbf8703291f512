"""Input and output that app and worker share."""
