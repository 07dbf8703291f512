"""The vtt command."""
