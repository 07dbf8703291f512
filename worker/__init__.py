"""The process that fine-tunes."""
