"""The HTTP front door and what both processes share."""
