"""Read public data sets from their unpacked downloads: registry.py lists them, open.py opens them."""
