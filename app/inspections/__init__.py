"""Reports on support sets, before any training."""
