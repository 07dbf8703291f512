"""Read images and archives that nobody vouches for; nothing here imports torch."""
