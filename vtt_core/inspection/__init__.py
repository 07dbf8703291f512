"""A report on a support set before any training."""
