"""Read what a user sends, without torch."""
