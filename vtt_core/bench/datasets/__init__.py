"""Read public data sets from the folders that their downloads unpack to: registry.py names them, open.py opens them."""
