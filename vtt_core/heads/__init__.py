"""Closed-form classifiers on image features, their held-out numbers, and what they do not know."""
