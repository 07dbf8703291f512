"""The `vtt bench` and `vtt diagnose` commands."""
