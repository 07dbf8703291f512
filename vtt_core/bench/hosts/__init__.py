"""Try every host on a small backbone of every kind."""
