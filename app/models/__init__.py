"""Models: what a user predicts with, and the aliases that point to them."""
